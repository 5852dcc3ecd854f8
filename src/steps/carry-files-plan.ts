import { LongList } from '../base/long-list.ts'
import { decideConflict, type FilePolicy, type HashedEntry, looksAlike, mergeFile, type Sides } from '../files/merge.ts'
import { asidePath, comparePaths, isPartPath, originalOf } from '../files/paths.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import { type Met, sideBySide } from '../files/side-by-side.ts'
import type { StepRun } from '../run/step.ts'
import type { CarryChange, CarryItem, Conflict } from './carry-files-change.ts'
import { isClash, reasonOf } from './carry-files-reasons.ts'
import { allTrulyGone, MOST_DELETED, refuseTooMany } from './deletions.ts'
import { leadsOutside } from './file-batches.ts'
import { freeName } from './file-beside.ts'
import { type FileDecision, isAbout } from './file-decisions.ts'
import type { FilesBase } from './files-base.ts'
import { ownFiles } from './own-files.ts'
import { isSettled, type ParkedFiles } from './parked-files.ts'
import type { WrongFiles } from './wrong-files.ts'

/** One change brings so much at most: small enough to journal and to undo at a time. */
const MOST_ENTRIES = 1000
const MOST_BYTES = 256 * 1024 * 1024
/** Of conflicts that are parked. */
const MOST_PARKED = 200

/** What a pass found. */
export interface CarryPlan {
  readonly changes: readonly CarryChange[]
  /** The source has them no more; the target keeps them. */
  readonly kept: number
  /** Files that rewrite-config changed on the new host, and that were changed since where they come from. */
  readonly configs: readonly string[]
  /** Paths of conflicts that a person has to decide about, in their order. */
  readonly conflicts: LongList<string>
}

export interface Planning {
  readonly source: FileHost
  /** All that the source has, in the order of `comparePaths`. */
  readonly listing: AsyncIterable<FileEntry>
  readonly target: FileHost
  readonly sourceSide: 'old' | 'new'
  readonly base: FilesBase
  readonly policy: FilePolicy
  readonly deletes: boolean
  readonly mostDeleted: number | string
  /** Files that rewrite-config changed, with the SHA-256 that it gave them on the new host. */
  readonly rewritten: ReadonlyMap<string, string>
  readonly parked: Pick<ParkedFiles, 'get'>
  /** What stands on the target and was found not to be what was sent there. */
  readonly wrong: Pick<WrongFiles, 'get'>
  /** What a person decided, by path. */
  readonly decisions: ReadonlyMap<string, FileDecision>
  readonly run: StepRun
}

/**
 * Compares both hosts with what they last had in common. What a change carries is read when it is wanted: a plan may have a million files. Reads listings,
 * and the contents of what was changed on both.
 */
export async function planCarrying(planning: Planning): Promise<CarryPlan> {
  const { base, listing, target, run } = planning
  const planner = new Planner(planning)
  const own = ownFiles(run)
  const unread = target.list('', run.signal, base.isChosen.looksInto)
  for await (const met of sideBySide(base.entries(), listing, unread)) {
    planner.see(met)
    if (base.isChosen(met.path) && !isPartPath(met.path) && !own.has(met.path)) await planner.take(met)
  }
  return planner.end()
}

class Planner {
  readonly #planning: Planning
  readonly #changes: CarryChange[] = []
  readonly #conflicts = new LongList<string>(MOST_ENTRIES)
  readonly #parked = new LongList<Conflict>(MOST_PARKED)
  readonly #configs: string[] = []
  readonly #gone = new LongList<HashedEntry>(MOST_DELETED)
  readonly #lost = new LongList<HashedEntry>(MOST_DELETED)
  #replacesAtOnce: Promise<boolean> | undefined
  /** What stands aside on the target since a run was killed there, by its own name: it has that again before anything is done. */
  readonly #asides = new Map<string, HashedEntry>()
  /** A folder on one host, and something else on the other. */
  #clash: string | undefined
  readonly #items = new LongList<CarryItem>(MOST_ENTRIES)
  /** Of the change in hand: entries, files among them, and bytes. */
  #held = 0
  #files = 0
  #bytes = 0
  #kept = 0

  constructor(planning: Planning) {
    this.#planning = planning
  }

  /** Every path of the hosts, also what is nobody's to carry. A name's aside comes before it, as a rule (`#lateAside`). */
  see({ path, target }: Met): void {
    const original = target === undefined ? undefined : originalOf(path)
    if (target !== undefined && original !== undefined) this.#asides.set(original, target)
    if (target !== undefined) this.#asides.delete(path)
  }

  async take(met: Met): Promise<void> {
    const aside = this.#asides.get(met.path) ?? (met.target === undefined ? await this.#lateAside(met.path) : undefined)
    return this.#take(aside === undefined ? met : { ...met, target: { ...aside, path: met.path } })
  }

  /** What stands aside of a name that begins with a space, or with `!` to `-`: the name comes before it. */
  async #lateAside(path: string): Promise<HashedEntry | undefined> {
    const { target } = this.#planning
    const at = asidePath(path)
    if (comparePaths(at, path) < 0 || originalOf(at) !== path) return undefined
    this.#replacesAtOnce ??= target.powers().then(({ atomicReplace }) => atomicReplace)
    const there = (await this.#replacesAtOnce) ? undefined : await target.stat(at)
    if (there === undefined) return undefined
    const aside = { ...there, sha256: null }
    this.#asides.set(path, aside)
    return aside
  }

  async #take(met: Met): Promise<void> {
    // Sockets and pipes are nobody's content, and a link that leads outside was told of when the files were saved.
    if (met.source !== undefined && (met.source.kind === 'other' || leadsOutside(met.source))) return
    if (this.#planning.rewritten.has(met.path)) return this.#takeConfig(met)
    if (await this.#mend(met)) return
    if (this.#clash !== undefined && !met.path.startsWith(`${this.#clash}/`)) this.#clash = undefined
    if (isClash(met)) this.#clash = met.path
    switch (mergeFile(met)) {
      case 'carry':
      case 'update':
        return this.#clash === undefined ? this.#carry(met) : this.#decide(await this.#hashed(met))
      case 'gone':
        return this.#takeGone(met)
      case 'conflict':
        return this.#decide(await this.#hashed(met))
      case 'nothing':
        return
    }
  }

  async end(): Promise<CarryPlan> {
    this.#cut()
    this.#changes.push(...this.#parked.ofPages(parking))
    await this.#delete()
    await this.#drop()
    return { changes: this.#changes, kept: this.#kept, configs: this.#configs, conflicts: this.#conflicts }
  }

  /** What was found wrong, and stands there still as it was found, is sent once more, or goes where nothing is left to be sent. */
  async #mend({ path, source, target, base }: Met): Promise<boolean> {
    const { wrong } = this.#planning
    const found = wrong.get(path)
    if (found === undefined || target === undefined || !looksAlike(found, target)) return false
    const sha256 = await this.#targetHash(path)
    if (sha256 !== found.sha256) return false
    if (source === undefined) this.#lost.add({ ...target, sha256 })
    else this.#carry({ source, target: { ...target, sha256 }, base }, true)
    return true
  }

  /** Whatever the playbook says of what is removed: it is nothing that the source had. */
  async #drop(): Promise<void> {
    const { source, run } = this.#planning
    const entries = await allTrulyGone(source, this.#lost, run.signal)
    const dropped = entries.ofPages<CarryChange>((items) => ({
      do: 'drop',
      get entries() {
        return [...items()]
      },
    }))
    this.#changes.push(...dropped)
  }

  #carry({ source, target, base }: Sides, mends = false): void {
    if (source === undefined) return
    this.#items.add({ entry: source, now: target ?? null, base: base ?? null, ...(mends ? { mends } : {}) })
    this.#bytes += source.size
    if (source.kind === 'file') this.#files += 1
    this.#held += 1
    if (this.#held >= MOST_ENTRIES || this.#bytes >= MOST_BYTES) this.#cut()
  }

  #cut(): void {
    if (this.#held === 0) return
    const [items, page] = [this.#items, this.#items.pageCount - 1]
    items.endPage()
    this.#changes.push({
      do: 'carry',
      files: this.#files,
      bytes: this.#bytes,
      get items() {
        return [...items.page(page)]
      },
    })
    this.#files = 0
    this.#bytes = 0
    this.#held = 0
  }

  #takeGone({ target }: Sides): void {
    if (target === undefined) return
    if (this.#planning.deletes) this.#gone.add(target)
    else if (target.kind !== 'folder') this.#kept += 1
  }

  /** Nothing is removed unless the source lacks it in a second answer too, and no more than the playbook allows. */
  async #delete(): Promise<void> {
    const { source, target, base, mostDeleted, run } = this.#planning
    refuseTooMany(this.#gone.length, base.count, mostDeleted, target.label)
    const entries = await allTrulyGone(source, this.#gone, run.signal)
    const deleted = entries.ofPages<CarryChange>((items) => ({
      do: 'delete',
      get entries() {
        return items().map(withoutHash)
      },
    }))
    this.#changes.push(...deleted)
  }

  /** Listings say that both changed; their contents decide. */
  async #hashed({ path, base, source, target }: Met): Promise<Met> {
    const { source: from, run } = this.#planning
    const hashed = async (entry: HashedEntry | undefined, hash: () => Promise<string>): Promise<HashedEntry | undefined> =>
      entry?.kind === 'file' ? { ...entry, sha256: await hash() } : entry
    const [hashedSource, hashedTarget] = await Promise.all([
      hashed(source, () => from.sha256(path, run.signal)),
      hashed(target, () => this.#targetHash(path)),
    ])
    return { path, base, source: hashedSource, target: hashedTarget }
  }

  #targetHash(path: string): Promise<string> {
    const { target, run } = this.#planning
    return target.sha256(this.#asides.get(path)?.path ?? path, run.signal)
  }

  async #decide(met: Met): Promise<void> {
    const { policy, sourceSide } = this.#planning
    const verdict = mergeFile(met)
    // A folder can't take a file's place, nor a file a folder's, nor can anything lie below a file: whatever the rule, that is for a person.
    const isPlain = this.#clash === undefined
    if (isPlain && (verdict === 'carry' || verdict === 'update')) return this.#carry(met)
    if (met.source === undefined || (verdict !== 'conflict' && isPlain) || verdict === 'nothing') return
    const whose = isPlain ? decideConflict(met, policy, sourceSide) : 'park'
    if (whose === 'source') this.#carry(met)
    if (whose === 'park' && !(await this.#asDecided(met, isPlain))) this.#park(met)
  }

  /** Does as a person decided; `false` when nobody did, or when one of the files has changed since. */
  async #asDecided({ path, source, target, base }: Met, isPlain: boolean): Promise<boolean> {
    const { decisions, sourceSide, target: host } = this.#planning
    const decision = decisions.get(path)
    if (decision === undefined || source === undefined || !isAbout(decision, source, target)) return false
    const conflict = { path, reason: reasonOf({ base, source, target }), source, target: target ?? null, base: base ?? null }
    if (decision.take === sourceSide) {
      if (isPlain) this.#carry({ source, target, base })
      return isPlain
    }
    if (decision.take !== 'both') this.#changes.push({ do: 'settle', ...conflict })
    else this.#changes.push({ do: 'both', ...conflict, as: await freeName(host, source, sourceSide) })
    return true
  }

  #park({ path, source, target, base }: Met): void {
    const { parked, sourceSide, run } = this.#planning
    if (source === undefined) return
    const known = parked.get(path)
    const isSame = known?.from === sourceSide && known.source.sha256 === source.sha256 && known.source.target === source.target
    const conflict = { path, reason: reasonOf({ base, source, target }), source, target: target ?? null, base: base ?? null }
    if (isSame && isSettled(known, run)) this.#changes.push({ do: 'settle', ...conflict })
    else {
      this.#conflicts.add(path)
      if (!isSame) this.#parked.add(conflict)
    }
  }

  /** What rewrite-config changed is neither a conflict nor carried: the hosts are meant to differ. Its source is looked at all the same. */
  async #takeConfig({ path, base, source }: Met): Promise<void> {
    const { rewritten, sourceSide, source: host, run } = this.#planning
    if (source === undefined || (base !== undefined && mergeFile({ base, source, target: undefined }) === 'nothing')) return
    const expected = sourceSide === 'old' ? base?.sha256 : rewritten.get(path)
    if ((await host.sha256(path, run.signal)) !== expected) this.#configs.push(path)
  }
}

const parking = (conflicts: () => readonly Conflict[]): CarryChange => ({
  do: 'park',
  get conflicts() {
    return [...conflicts()]
  },
})

const withoutHash = ({ path, kind, size, mode, mtimeSeconds, target }: HashedEntry) => ({
  path,
  kind,
  size,
  mode,
  mtimeSeconds,
  target,
})
