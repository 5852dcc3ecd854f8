import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { LongList } from '../base/long-list.ts'
import { firstOf, formatBytes, formatCount } from '../base/units.ts'
import type { Throttle } from '../databases/snapshot/pace.ts'
import type { Choice } from '../files/choice.ts'
import type { HashedEntry } from '../files/merge.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import type { Sequence, Step, StepRun } from '../run/step.ts'
import { applyOther, type CarryingTo, carryOver, takeBackCarried } from './carry-files-apply.ts'
import { type CarryChange, type Carrying, carryChangeSchema } from './carry-files-change.ts'
import { carried, configFinding, differ, differAndGone, keptFinding, leftFinding } from './carry-files-findings.ts'
import { stillParked } from './carry-files-parked.ts'
import { type CarryPlan, planCarrying } from './carry-files-plan.ts'
import { readBack } from './carry-files-proof.ts'
import { OnTheWay } from './carry-files-send.ts'
import { deletionShape, trulyGone } from './deletions.ts'
import { recallCutover } from './dns-change.ts'
import { readFileDecisions } from './file-decisions.ts'
import { FILES_PACE } from './file-fetch.ts'
import { FilesBase } from './files-base.ts'
import { LongNames } from './long-names.ts'
import { OldShopPace, throttleShape } from './old-shop-pace.ts'
import { listOldFiles } from './paced-listing.ts'
import { ParkedFiles, ParkedList } from './parked-files.ts'
import { rewrittenFiles } from './rewritten.ts'
import { type Host, missingPart, type StepContext, type StepKind, type World } from './world.ts'
import { WrongFiles } from './wrong-files.ts'

const optionsSchema = z
  .strictObject({
    ...deletionShape,
    ...throttleShape,
    conflict: z.enum(['park', 'old', 'new', 'newest']).default('park').meta({
      description:
        'A file that was changed on both hosts: set aside for a person, or taken from the old host, the new one, or the one that changed last',
    }),
  })
  .prefault({})
type Options = z.infer<typeof optionsSchema>

/** The kind's name: "carry" is what this program calls bringing over what came to the old host after it was copied. */
export const CARRY_FILES = 'carry-files'

/** Brings over what changed among the files since they were copied; may stand in a playbook several times. */
export const carryFilesKind: StepKind<Options> = {
  name: CARRY_FILES,
  summary: 'Carry over files that came or changed on the old host since they were copied, by a three-way merge',
  options: optionsSchema,
  create: (options, context) => new CarryFiles(options, context, 'forward'),
}

/** The same merge the other way round, for a rollback after the cutover: nothing is removed from the old host. */
export const carryFilesBack = (id: string, world: World): Step<CarryChange> =>
  new CarryFiles(
    { delete: false, 'max-delete': 0, conflict: 'park', throttle: 'off' },
    { id, world, playbookDirectory: '/', playbookName: '', others: () => [], afterCutover: true },
    'reverse',
  )

/** One pass of what is carried from the old host: rows, and files where the playbook has them carried; the last step of each. */
export function passOf(sequence: Sequence): Sequence {
  const last = sequence.flat().findLast((step) => step instanceof CarryFiles)
  return sequence
    .map((group) => group.filter((step) => step.id === 'reconcile' || step === last))
    .filter((group) => group.length > 0)
}

/** Conflicts that a change names. */
const NAMED = 3
const more = (count: number): string => (count > 0 ? ` and ${formatCount(count)} more` : '')

class CarryFiles implements Step<CarryChange> {
  readonly id: string
  readonly title: string
  readonly phase: 'prepare' | 'settle'
  readonly change = carryChangeSchema
  readonly #options: Options
  readonly #context: StepContext
  readonly #source: Host
  readonly #target: Host
  readonly #isBack: boolean
  /** On the way back: what can't be written on the old host. */
  #leftBehind: readonly CarryChange[] = []
  #pace: OldShopPace | undefined
  #found: CarryPlan = { changes: [], kept: 0, configs: [], conflicts: new LongList(1) }

  constructor(options: Options, context: StepContext, direction: 'forward' | 'reverse') {
    const { old, new: fresh } = context.world
    this.id = context.id
    this.phase = context.afterCutover ? 'settle' : 'prepare'
    this.title = direction === 'forward' ? "Carry the old host's late files over" : "Carry the new host's files back"
    this.#options = options
    this.#context = context
    this.#isBack = direction === 'reverse'
    this.#source = direction === 'forward' ? old : fresh
    this.#target = direction === 'forward' ? fresh : old
  }

  async check(): Promise<readonly Finding[]> {
    const { old, new: fresh } = this.#context.world
    const missing = [old, fresh].filter(({ files }) => files === undefined)
    if (missing.length > 0)
      return missing.map(({ side }) =>
        missingPart(this.id, `the ${side} host’s files`, `${side}.files: sftp://user@${side}.example.com/site`),
      )
    const written = (await this.#target.files?.check('write')) ?? []
    // The way back isn't to be held up by an account that was only ever meant to read.
    const told = this.#isBack ? written.map((finding) => ({ ...finding, severity: 'warning' as const })) : written
    return [...((await this.#source.files?.check('read')) ?? []), ...told]
  }

  async plan(run: StepRun): Promise<readonly CarryChange[]> {
    // Once customers are on the new host, what is left to carry is the business of the step that stands after the cutover.
    if (this.phase === 'prepare' && recallCutover(run) !== undefined && this.#hasLater()) return []
    const base = FilesBase.open(run, this.#context.world.effects, this.id)
    if (base === undefined) return []
    const wrong = WrongFiles.open(run, this.id, this.#context.world.effects)
    const parked = ParkedFiles.open(run, this.#context.world.effects)
    try {
      this.#found = await planCarrying({
        source: this.#files(this.#source),
        listing: this.#listing(base.isChosen.looksInto, run),
        target: this.#files(this.#target),
        sourceSide: this.#source.side,
        base,
        policy: this.#options.conflict,
        deletes: this.#options.delete,
        mostDeleted: this.#options['max-delete'],
        rewritten: rewrittenFiles(run),
        parked,
        wrong,
        decisions: new Map((await readFileDecisions(run.directory)).map((each) => [each.path, each])),
        run,
      })
    } finally {
      parked.close()
      wrong.close()
      base.close()
    }
    const written = this.#isBack && this.#found.changes.length > 0 ? await this.#files(this.#target).check('write') : []
    if (written.some(({ severity }) => severity === 'error')) this.#leftBehind = this.#found.changes
    if (run.dryRun) for (const finding of await this.#noticed(run)) run.emit({ event: 'finding', ...finding })
    return this.#leftBehind.length > 0 ? [] : this.#found.changes
  }

  async apply(change: CarryChange, run: StepRun): Promise<void> {
    const to = this.#carrying(run)
    try {
      // What stepped aside for a file when a run was killed was planned with as if it had its name still.
      await to.host.sweep?.()
      if (change.do !== 'carry') return await applyOther(to, change)
      await this.#atPace(change, run, (throttle) => carryOver({ ...to, throttle }, change))
      await to.host.sweep?.()
    } finally {
      to.parked.close()
    }
  }

  /** All changes of a run count together: many small ones are as much to the old host as a large one. */
  #atPace(change: Carrying, run: StepRun, copy: (throttle: Throttle | undefined) => Promise<void>): Promise<void> {
    if (this.#isBack) return copy(undefined)
    const planned = this.#found.changes.reduce((sum, each) => sum + (each.do === 'carry' ? each.bytes : 0), 0)
    this.#pace ??= new OldShopPace({ run, world: this.#context.world, mode: this.#options.throttle, ...FILES_PACE })
    return this.#pace.during(Math.max(planned, change.bytes), copy)
  }

  #listing(looksInto: Choice['looksInto'], run: StepRun): AsyncIterable<FileEntry> {
    const files = this.#files(this.#source)
    if (this.#isBack) return files.list('', run.signal, looksInto)
    return listOldFiles(files, { run, world: this.#context.world, mode: this.#options.throttle, looksInto })
  }

  async verify(run: StepRun): Promise<readonly Finding[]> {
    const key = `${this.id}/read-back`
    const to = this.#carrying(run)
    const { files, bytes, wrong, last } = await readBack(to, Number(run.recall(key) ?? 0))
    await WrongFiles.replace(run, this.id, this.#context.world.effects, wrong)
    if (wrong.length > 0) return this.#wrongFindings(wrong, run)
    await run.remember(key, last)
    await new OnTheWay(to).drop()
    return [
      ...(files === 0 ? [] : [carried(files, bytes, this.#source.side, this.#target.side)]),
      ...(await this.#noticed(run)),
      ...(await stillParked(to.parked, this.#found).finally(() => to.parked.close())),
    ]
  }

  async #wrongFindings(wrong: LongList<HashedEntry>, run: StepRun): Promise<readonly Finding[]> {
    const { label } = this.#files(this.#target)
    const { effects } = this.#context.world
    const [others, lost] = [new LongNames(), new LongNames()]
    for (const page of wrong.pages()) {
      const gone = new Set((await trulyGone(this.#files(this.#source), page, run.signal)).map(({ path }) => path))
      for (const { path } of page) (gone.has(path) ? lost : others).add(path)
    }
    const [left, without] = [
      await others.told(run, effects, `${this.id}-wrong`),
      await lost.told(run, effects, `${this.id}-lost`),
    ]
    return [
      ...(others.count === 0 ? [] : [differ(others.count, left, label)]),
      ...(lost.count === 0 ? [] : [differAndGone(lost.count, without, label, this.#source.side)]),
    ]
  }

  readonly undoneLast = true

  async undo(change: CarryChange, run: StepRun): Promise<void> {
    const from = this.#carrying(run)
    try {
      await from.host.sweep?.()
      await takeBackCarried(from, change)
      await from.host.sweep?.()
    } finally {
      from.parked.close()
    }
  }

  describe(change: CarryChange): string {
    const { side } = this.#source
    switch (change.do) {
      case 'carry': {
        const [first] = change.items
        const name = `${first?.entry.path ?? ''}${more(change.items.length - 1)}`
        return `carry ${name} from the ${side} host (${formatCount(change.files)} files, ${formatBytes(change.bytes)})`
      }
      case 'park':
        return `park ${change.conflicts
          .map(({ path, reason }) => `${path} (${reason})`)
          .slice(0, NAMED)
          .join(', ')}${more(change.conflicts.length - NAMED)}; the ${side} host’s is kept in the run’s folder`
      case 'settle':
        return `settle ${change.path}: the ${this.#target.side} host’s stays`
      case 'both':
        return `keep both of ${change.path}: the ${side} host’s comes beside it as ${change.as}`
      case 'delete':
        return `remove ${formatCount(change.entries.length)} files and folders that the ${side} host no longer has`
      case 'drop':
        return `remove ${firstOf(change.entries.map(({ path }) => path))}, which did not arrive as sent, and which the ${side} host no longer has; what stands there is kept in the run’s folder`
    }
  }

  #hasLater(): boolean {
    return this.#context.others().some((step) => step instanceof CarryFiles && step.phase === 'settle')
  }

  /** What a person should know of, and nothing was done about. */
  async #noticed(run: StepRun): Promise<readonly Finding[]> {
    const { kept, configs } = this.#found
    const [source, target] = [this.#source.side, this.#target.side]
    return [
      ...(this.#leftBehind.length === 0 ? [] : [await this.#leftFinding(run)]),
      ...(kept === 0 ? [] : [keptFinding(kept, source, target)]),
      ...(configs.length === 0 ? [] : [configFinding(configs, source, target)]),
    ]
  }

  async #leftFinding(run: StepRun): Promise<Finding> {
    const names = new LongNames()
    for (const change of this.#leftBehind) if (change.do === 'carry') for (const { entry } of change.items) names.add(entry.path)
    const named = run.dryRun ? names.first() : await names.told(run, this.#context.world.effects, `${this.id}-left`)
    return leftFinding(names.count, named, this.#files(this.#target).label)
  }

  #carrying(run: StepRun): CarryingTo {
    return {
      host: this.#files(this.#target),
      source: this.#files(this.#source),
      sourceSide: this.#source.side,
      parked: new ParkedList(run, this.#context.world.effects),
      step: this.id,
      effects: this.#context.world.effects,
      run,
    }
  }

  #files({ side, files }: Host): FileHost {
    if (files !== undefined) return files
    throw new MigrateError('playbook-part-missing', `${this.id} needs the ${side} host's files, which the playbook doesn't give.`)
  }
}
