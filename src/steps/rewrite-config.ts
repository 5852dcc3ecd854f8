import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { unifiedDiff } from '../files/diff.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import { decodeText, encodeText, readableText, replaceText } from '../files/text.ts'
import type { Step, StepRun } from '../run/step.ts'
import { BeforeImages } from './before-images.ts'
import { noteRewritten } from './rewritten.ts'
import { missingPart, type StepContext, type StepKind } from './world.ts'

const itemSchema = z.strictObject({
  file: z.string().min(1).meta({ description: 'Path below the new host’s folder' }),
  replace: z
    .record(z.string().min(1), z.string())
    .refine((texts) => Object.keys(texts).length > 0, { error: 'must name at least one text to replace' })
    .meta({ description: 'Text → the text to put in its place, everywhere in the file' }),
})
const optionsSchema = z.array(itemSchema).min(1, { error: 'must list at least one file' })
type Options = z.infer<typeof optionsSchema>
type Item = Options[number]

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
    /** For people; values that look like passwords hidden. */
    diff: z.string(),
  })
  .readonly()
type Change = z.infer<typeof changeSchema>

/** Changes texts in config files on the new host: host names, connection strings. */
export const rewriteConfigKind: StepKind<Options> = {
  name: 'rewrite-config',
  summary: 'Replace texts in config files on the new host',
  options: optionsSchema,
  create: (options, context) => new RewriteConfig(options, context),
}

class RewriteConfig implements Step<Change> {
  readonly id: string
  readonly title = 'Point the config at the new host'
  readonly phase = 'prepare'
  readonly change = changeSchema
  readonly #items: Options
  readonly #context: StepContext

  constructor(items: Options, context: StepContext) {
    this.id = context.id
    this.#items = byFile(items)
    this.#context = context
  }

  async check(_run: StepRun): Promise<readonly Finding[]> {
    const { files } = this.#context.world.new
    if (files === undefined)
      return [missingPart(this.id, 'the new host’s files', 'new.files: sftp://user@new.example.com/var/www/shop')]
    const { files: old } = this.#context.world.old
    if (old === undefined) return []
    const findings = await Promise.all(this.#items.map((item) => this.#checkItem(item, old, files)))
    return findings.flat()
  }

  async plan(run: StepRun): Promise<readonly Change[]> {
    const changes: Change[] = []
    for (const item of this.#items) {
      const read = await this.#current(item, run)
      const after = rewritten(item, read.bytes, read.label)
      if (after.equals(read.bytes)) continue
      const texts = [read.bytes, after].map((bytes) => readableText(decodeText(bytes)))
      changes.push({
        file: item.file,
        before: stateOf(read.bytes),
        after: stateOf(after),
        mode: read.entry.mode,
        diff: unifiedDiff(item.file, texts[0] ?? '', texts[1] ?? ''),
      })
    }
    return changes
  }

  async apply(change: Change, run: StepRun): Promise<void> {
    const host = this.#new()
    const { bytes } = await readFile(host, change.file, run)
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
        const { bytes } = await readFile(host, item.file, run)
        const isDone = rewritten(item, bytes, host.label).equals(bytes)
        return isDone
          ? []
          : [
              {
                severity: 'error',
                code: 'config-not-rewritten',
                message: `${item.file} on ${host.label} still holds a text that was to be replaced.`,
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
    return `change ${change.file} on the new host:\n${change.diff}`
  }

  /** The new host's file; in a dry run, before the files are there, the old host's. */
  async #current(
    item: Item,
    run: StepRun,
  ): Promise<{ readonly bytes: Buffer; readonly label: string; readonly entry: FileEntry }> {
    const host = this.#new()
    const { files: old } = this.#context.world.old
    if (!run.dryRun || old === undefined) return readFile(host, item.file, run)
    try {
      const read = await readFile(host, item.file, run)
      rewritten(item, read.bytes, read.label)
      return read
    } catch (error) {
      const expected = error instanceof MigrateError && ['file-missing', 'config-text-missing'].includes(error.code)
      if (!expected || (await old.stat(item.file)) === undefined) throw error
      return readFile(old, item.file, run)
    }
  }

  async #checkItem(item: Item, old: FileHost, files: FileHost): Promise<readonly Finding[]> {
    if ((await old.stat(item.file)) !== undefined || (await files.stat(item.file).catch(() => undefined)) !== undefined) return []
    return [
      {
        severity: 'error',
        code: 'file-missing',
        message: `${item.file}, which ${this.id} is to change, is neither on the old nor on the new host.`,
        hint: 'Correct the path: it is relative to the site’s folder.',
      },
    ]
  }

  #item(file: string): Item {
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

/** One item for each file, also when the playbook names it twice: what is planned for a file is planned at once. */
function byFile(items: Options): Options {
  const files = new Map<string, Item>()
  for (const { file, replace } of items) files.set(file, { file, replace: { ...files.get(file)?.replace, ...replace } })
  return [...files.values()]
}

/** The bytes after every replacement. Throws when a text is nowhere, and its replacement neither. */
function rewritten(item: Item, bytes: Buffer, label: string): Buffer {
  let file = decodeText(bytes)
  for (const [from, to] of Object.entries(item.replace)) {
    const result = replaceText(file, from, to)
    if (result.matches === 0 && result.already === 0 && to !== '') throw textMissing(item.file, from, label)
    file = result.file
  }
  return encodeText(file)
}

async function readFile(
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

const textMissing = (path: string, text: string, label: string): MigrateError =>
  new MigrateError(
    'config-text-missing',
    `${path} on ${label} holds ${JSON.stringify(text)} nowhere, nor what was to stand in its place. It was left as it is.`,
    {
      hint: 'Look at the file and correct the text in the playbook; upper and lower case matter.',
    },
  )

const changedMeanwhile = (host: FileHost, path: string): MigrateError =>
  new MigrateError(
    'config-changed',
    `${path} on ${host.label} was changed by somebody else in the meantime. It was left as it is.`,
    {
      hint: 'Look at the file, mend it by hand, and run again.',
    },
  )
