import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { FORMAT_KEYS } from '../files/config/formats.ts'
import { unifiedDiff } from '../files/diff.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import { decodeText } from '../files/text.ts'
import type { Step, StepRun } from '../run/step.ts'
import { BeforeImages } from './before-images.ts'
import { findingOf } from './database-parts.ts'
import { byFile, type FileItems, insideNames, rewritten } from './rewrite-config-edit.ts'
import { type RewriteItem, rewriteOptionsSchema } from './rewrite-config-options.ts'
import { noteRewritten } from './rewritten.ts'
import { missingPart, type StepContext, type StepKind } from './world.ts'

/** A config is read whole; a larger file is none. */
const MOST_BYTES = 16 * 1024 * 1024

const stateSchema = z.object({ sha256: z.string(), size: z.int() }).readonly()
const changeSchema = z
  .object({
    file: z.string(),
    before: stateSchema,
    after: stateSchema,
    /** Permission bits to keep. */
    mode: z.int().nullable(),
    /** Names of what is changed, for people. No values: they may be secret, and this is journaled. */
    settings: z.array(z.string()).readonly(),
    texts: z.int(),
  })
  .readonly()
type Change = z.infer<typeof changeSchema>

/** What stands in the file that is read is other than expected; in a dry run the old host's file may still be right. */
const NOT_THERE_YET = ['file-missing', 'config-text-missing', 'config-setting-missing', 'config-text-times']

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
      const read = await this.#current(item, run)
      const after = rewritten(item, read.bytes, read.label)
      if (after.equals(read.bytes)) continue
      const [was, is] = [decodeText(read.bytes).text, decodeText(after).text]
      // Shown, not journaled: what looks like no secret may still be one.
      run.emit({ event: 'note', message: unifiedDiff(item.file, was, is) })
      changes.push({
        file: item.file,
        before: stateOf(read.bytes),
        after: stateOf(after),
        mode: read.entry.mode,
        ...namesOf(item),
      })
    }
    return changes
  }

  async apply(change: Change, run: StepRun): Promise<void> {
    const host = this.#new()
    const { bytes } = await readConfig(host, change.file, run)
    if (stateOf(bytes).sha256 === change.after.sha256) return noteRewritten(run, change.file, change.after.sha256)
    if (stateOf(bytes).sha256 !== change.before.sha256) throw changedMeanwhile(host, change.file)
    const after = rewritten(this.#item(change.file), bytes, host.label)
    if (stateOf(after).sha256 !== change.after.sha256) throw changedMeanwhile(host, change.file)
    const images = BeforeImages.open(run, this.id, change, this.#context.world.effects)
    try {
      await images.save(host, change.file, run.signal)
    } finally {
      images.close()
    }
    // Noted before it is done: a later look at the restored files must never take this for damage to be mended.
    await noteRewritten(run, change.file, change.after.sha256)
    const options = { mode: change.mode, mtimeSeconds: Math.floor(run.clock.now() / 1000) }
    await host.write(change.file, Readable.from([after]), options, run.signal)
  }

  async verify(run: StepRun): Promise<readonly Finding[]> {
    const host = this.#new()
    const findings = await Promise.all(
      this.#items.map(async (item): Promise<readonly Finding[]> => {
        const { bytes } = await readConfig(host, item.file, run)
        const isDone = rewritten(item, bytes, host.label).equals(bytes)
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
    const host = this.#new()
    const entry = await host.stat(change.file)
    const sha256 = entry === undefined ? undefined : await host.sha256(change.file, run.signal)
    const images = BeforeImages.open(run, this.id, change, this.#context.world.effects)
    try {
      // Nothing saved: the change was cut off before it touched the file.
      if (images.get(change.file) === undefined) return
      if (sha256 !== change.after.sha256 && sha256 !== change.before.sha256) throw changedMeanwhile(host, change.file)
      await images.giveBack(host, change.file, run.signal)
    } finally {
      images.close()
    }
    await noteRewritten(run, change.file, null)
    if ((await host.sha256(change.file, run.signal)) !== change.before.sha256) throw changedMeanwhile(host, change.file)
  }

  describe(change: Change): string {
    const texts = change.texts === 0 ? [] : [change.texts === 1 ? 'a text' : `${formatCount(change.texts)} texts`]
    return `change ${change.file} on the new host: ${[...change.settings, ...texts].join(', ')}`
  }

  /** The new host's file; in a dry run, before the files are there, the old host's. */
  async #current(
    item: FileItems,
    run: StepRun,
  ): Promise<{ readonly bytes: Buffer; readonly label: string; readonly entry: FileEntry }> {
    const host = this.#new()
    const { files: old } = this.#context.world.old
    if (!run.dryRun || old === undefined) return readConfig(host, item.file, run)
    try {
      const read = await readConfig(host, item.file, run)
      rewritten(item, read.bytes, read.label)
      return read
    } catch (error) {
      const expected = error instanceof MigrateError && NOT_THERE_YET.includes(error.code)
      if (!expected || (await old.stat(item.file)) === undefined) throw error
      return readConfig(old, item.file, run)
    }
  }

  /** The old host's file is what the new host will get; where that doesn't do, what stands on the new host already may. */
  async #checkItem(item: FileItems, old: FileHost, files: FileHost, run: StepRun): Promise<readonly Finding[]> {
    let failure: MigrateError | undefined
    for (const host of [old, files]) {
      try {
        if ((await host.stat(item.file)) === undefined) continue
        const { bytes } = await readConfig(host, item.file, run)
        rewritten(item, bytes, host.label)
        return insideNames(item, bytes, host.label)
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

  #item(file: string): FileItems {
    const item = this.#items.find((candidate) => candidate.file === file)
    if (item !== undefined) return item
    throw new MigrateError(
      'config-item-missing',
      `The playbook no longer says how ${file} is to be changed. It was left as it is.`,
    )
  }

  #new(): FileHost {
    const { files } = this.#context.world.new
    if (files !== undefined) return files
    throw new MigrateError('playbook-part-missing', `${this.id} needs the new host's files, which the playbook doesn't give.`)
  }
}

function namesOf({ items }: FileItems): Pick<Change, 'settings' | 'texts'> {
  const settings = items.flatMap((item) => FORMAT_KEYS.flatMap((key) => (item[key] ?? []).map(({ path }) => path.join('.'))))
  return { settings, texts: items.reduce((count, { replace }) => count + Object.keys(replace ?? {}).length, 0) }
}

/** A config's bytes, whole, and where they are from. */
export async function readConfig(
  host: FileHost,
  path: string,
  run: StepRun,
): Promise<{ readonly bytes: Buffer; readonly label: string; readonly entry: FileEntry }> {
  const entry = await host.stat(path)
  if (entry === undefined) throw missing(host, path)
  if (entry.size > MOST_BYTES)
    throw new MigrateError('config-too-large', `${path} on ${host.label} is too large for a config file. It was left as it is.`)
  const chunks: Buffer[] = []
  const content = await host.read(path, entry.kind === 'file' ? { entry, signal: run.signal } : { signal: run.signal })
  for await (const chunk of content as AsyncIterable<Buffer>) chunks.push(chunk)
  return { bytes: Buffer.concat(chunks), label: host.label, entry }
}

const stateOf = (bytes: Buffer) => ({ sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length })

const missing = (host: FileHost, path: string): MigrateError =>
  new MigrateError('file-missing', `${path}, which is to be changed, is not there on ${host.label}.`, {
    hint: 'Correct the path in the playbook (relative to the site’s folder), or restore the files first.',
  })

const changedMeanwhile = (host: FileHost, path: string): MigrateError =>
  new MigrateError(
    'config-changed',
    `${path} on ${host.label} was changed by somebody else in the meantime. It was left as it is.`,
    {
      hint: 'Look at the file, mend it by hand, and run again.',
    },
  )
