import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { FORMAT_KEYS } from '../files/config/formats.ts'
import { unifiedDiff } from '../files/diff.ts'
import type { FileHost } from '../files/port.ts'
import { decodeText } from '../files/text.ts'
import type { Step, StepRun } from '../run/step.ts'
import { findingOf } from './database-parts.ts'
import {
  applyFileChange,
  type FileChangeContext,
  fileChange,
  fileStateSchema,
  readConfig,
  type StandingFile,
  undoFileChange,
} from './file-change.ts'
import { byFile, type FileItems, rewritten } from './rewrite-config-edit.ts'
import { type RewriteItem, rewriteOptionsSchema } from './rewrite-config-options.ts'
import { noteRewritten } from './rewritten.ts'
import { missingPart, type StepContext, type StepKind } from './world.ts'

const changeSchema = z
  .object({
    file: z.string(),
    before: fileStateSchema,
    after: fileStateSchema,
    /** Permission bits to keep. */
    mode: z.int().nullable(),
    /** Names of what is changed, for people. No values: they may be secret, and this is journaled. */
    settings: z.array(z.string()).readonly(),
    texts: z.int(),
  })
  .readonly()
type Change = z.infer<typeof changeSchema>

const begunSchema = z.array(z.string())

/** What stands in the file that is read is other than expected; in a dry run the old host's file may still be right. */
const NOT_THERE_YET = [
  'file-missing',
  'config-text-missing',
  'config-text-inside-name',
  'config-setting-missing',
  'config-text-times',
]

/** Changes settings and texts in config files on the new host: host names, connection strings. */
export const rewriteConfigKind: StepKind<readonly RewriteItem[]> = {
  name: 'rewrite-config',
  summary: 'Change settings and texts in config files on the new host',
  options: rewriteOptionsSchema,
  create: (options, context) => new RewriteConfig(options, context),
}

export class RewriteConfig implements Step<Change> {
  readonly id: string
  readonly title = 'Point the config at the new host'
  readonly phase = 'prepare'
  readonly change = changeSchema
  readonly #items: readonly FileItems[]
  readonly #context: StepContext

  constructor(items: readonly RewriteItem[], context: StepContext) {
    this.id = context.id
    this.#items = byFile(items)
    this.#context = context
  }

  /** Paths of the files that it changes. */
  get files(): readonly string[] {
    return this.#items.map(({ file }) => file)
  }

  async check(run: StepRun): Promise<readonly Finding[]> {
    const { files } = this.#context.world.new
    if (files === undefined)
      return [missingPart(this.id, 'the new host’s files', 'new.files: sftp://user@new.example.com/var/www/shop')]
    const { files: old } = this.#context.world.old
    if (old === undefined) return []
    const findings = await Promise.all(this.#items.map((item) => this.#checkItem(item, old, files, run)))
    return findings.flat()
  }

  async plan(run: StepRun): Promise<readonly Change[]> {
    const changes: Change[] = []
    for (const item of this.#items) {
      const { read, after } = await this.#current(item, run)
      const change = fileChange(item.file, read, after)
      if (change === undefined) continue
      const [was, is] = [decodeText(read.bytes).text, decodeText(after).text]
      // Shown, not journaled: what looks like no secret may still be one.
      run.emit({ event: 'note', message: unifiedDiff(item.file, was, is) })
      changes.push(this.change.parse({ ...change, ...namesOf(item) }))
    }
    return changes
  }

  async apply(change: Change, run: StepRun): Promise<void> {
    const content = (standing: StandingFile | null): Buffer =>
      rewritten(this.#item(change.file), standing?.bytes ?? Buffer.alloc(0), this.#new().label, true)
    // Noted before it is done: a later look at the restored files must never take this for damage to be mended.
    const note = async (): Promise<void> => {
      await noteRewritten(run, change.file, change.after.sha256)
      await this.#noteBegun(run, change.file, true)
    }
    await applyFileChange(this.#place(change), change, content, run, note)
  }

  async verify(run: StepRun): Promise<readonly Finding[]> {
    const host = this.#new()
    const findings = await Promise.all(
      this.#items.map(async (item): Promise<readonly Finding[]> => {
        const read = await readConfig(host, item.file, run)
        const isDone = rewritten(item, read.bytes, read.label, this.#isBegun(run, item.file)).equals(read.bytes)
        return isDone
          ? []
          : [
              {
                severity: 'error',
                code: 'config-not-rewritten',
                message: `${item.file} on ${host.label} isn't as the playbook wants it.`,
                hint: 'Run again.',
              },
            ]
      }),
    )
    return findings.flat()
  }

  async undo(change: Change, run: StepRun): Promise<void> {
    if (!(await undoFileChange(this.#place(change), change, run))) return
    await noteRewritten(run, change.file, null)
    await this.#noteBegun(run, change.file, false)
  }

  describe(change: Change): string {
    const texts = change.texts === 0 ? [] : [change.texts === 1 ? 'a text' : `${formatCount(change.texts)} texts`]
    return `change ${change.file} on the new host: ${[...change.settings, ...texts].join(', ')}`
  }

  /** The new host's file; in a dry run, before the files are there, the old host's. */
  async #current(item: FileItems, run: StepRun): Promise<{ readonly read: StandingFile; readonly after: Buffer }> {
    const host = this.#new()
    const { files: old } = this.#context.world.old
    const of = async (side: FileHost) => {
      const read = await readConfig(side, item.file, run)
      return { read, after: rewritten(item, read.bytes, read.label, side === host && this.#isBegun(run, item.file)) }
    }
    if (!run.dryRun || old === undefined) return of(host)
    try {
      return await of(host)
    } catch (error) {
      const expected = error instanceof MigrateError && NOT_THERE_YET.includes(error.code)
      if (!expected || (await old.stat(item.file)) === undefined) throw error
      return of(old)
    }
  }

  /** The old host's file is what the new host will get; where that doesn't do, what stands on the new host already may. */
  async #checkItem(item: FileItems, old: FileHost, files: FileHost, run: StepRun): Promise<readonly Finding[]> {
    let failure: MigrateError | undefined
    for (const host of [old, files]) {
      try {
        if ((await host.stat(item.file)) === undefined) continue
        const { bytes, label } = await readConfig(host, item.file, run)
        rewritten(item, bytes, label, host === files && this.#isBegun(run, item.file))
        return []
      } catch (error) {
        // The new host's folder may not be there yet; what it says of its own is found by `check`.
        if (!(error instanceof MigrateError)) throw error
        if (host === old) failure = error
      }
    }
    if (failure !== undefined) return [findingOf(failure)]
    return [
      {
        severity: 'error',
        code: 'file-missing',
        message: `${item.file}, which ${this.id} is to change, is neither on the old nor on the new host.`,
        hint: 'Correct the path: it is relative to the site’s folder.',
      },
    ]
  }

  /** Whether this step may have changed the new host's file already. */
  #isBegun(run: StepRun, file: string): boolean {
    return this.#begun(run).includes(file)
  }

  #begun(run: StepRun): readonly string[] {
    return begunSchema.parse(run.recall(`${this.id}/begun`) ?? [])
  }

  async #noteBegun(run: StepRun, file: string, isBegun: boolean): Promise<void> {
    const others = this.#begun(run).filter((each) => each !== file)
    await run.remember(`${this.id}/begun`, isBegun ? [...others, file] : others)
  }

  #item(file: string): FileItems {
    const item = this.#items.find((candidate) => candidate.file === file)
    if (item !== undefined) return item
    throw new MigrateError(
      'config-item-missing',
      `The playbook no longer says how ${file} is to be changed. It was left as it is.`,
    )
  }

  #place(change: Change): FileChangeContext {
    return { step: this.id, change, host: this.#new(), effects: this.#context.world.effects }
  }

  #new(): FileHost {
    const { files } = this.#context.world.new
    if (files !== undefined) return files
    throw new MigrateError('playbook-part-missing', `${this.id} needs the new host's files, which the playbook doesn't give.`)
  }
}

/** Names of what is changed, for people; no values. */
export function namesOf({ items }: FileItems): Pick<Change, 'settings' | 'texts'> {
  const settings = items.flatMap((item) => FORMAT_KEYS.flatMap((key) => (item[key] ?? []).map(({ path }) => path.join('.'))))
  return { settings, texts: items.reduce((count, { replace }) => count + Object.keys(replace ?? {}).length, 0) }
}
