// A snapshot of so many files as the first argument says. Planned, proven and read back as a run does it, in a process whose memory the test
// bounds: when all were changed since on the old host; when all stand wrong on the new one; when the new one has as many that nobody knows.
// Goes to stdout, as JSON: how many files each was about, and what was told.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { boundYoungGeneration } from '../../src/base/young-generation.ts'
import { directly, type Step } from '../../src/run/step.ts'
import { CARRY_FILES, carryFilesKind } from '../../src/steps/carry-files.ts'
import { FileStore, type StoredEntry } from '../../src/steps/file-store.ts'
import { RESTORED_FILES_KEY, restoreFilesKind } from '../../src/steps/restore-files.ts'
import { GeneratedFiles } from '../fakes/generated-files.ts'
import { TestRun, testContext, testWorld } from '../fakes/step-run.ts'

boundYoungGeneration()
const files = Number(process.argv[2])
const directory = mkdtempSync(join(tmpdir(), 'migrate-many-changed-'))
const [old, fresh] = [new GeneratedFiles('generated://old', files), new GeneratedFiles('generated://new', files)]
const world = testWorld({ old: { files: old }, new: { files: fresh } })
const run = new TestRun(directory)
run.progress = () => undefined
const all = { delete: true, 'max-delete': '100%' }
const restore = (options: unknown = {}): Step =>
  restoreFilesKind.create(restoreFilesKind.options.parse(options), testContext(world, 'restore-files'))
const carry = (options: unknown = {}): Step =>
  carryFilesKind.create(carryFilesKind.options.parse(options), testContext(world, CARRY_FILES))

/** Keeps what a host has, as if it had been fetched. */
async function saved(folder: string, isWhole: boolean): Promise<void> {
  const store = FileStore.open(join(directory, folder), directly)
  let keeping: Promise<void>[] = []
  for await (const entry of old.list()) {
    const sha256 = entry.kind === 'file' ? await old.sha256(entry.path) : null
    const stored: StoredEntry = { ...entry, sha256 }
    keeping.push(store.keep(stored, isWhole && sha256 !== null ? await contentOf(entry.path) : null))
    if (keeping.length < 1000) continue
    await Promise.all(keeping)
    keeping = []
  }
  await Promise.all(keeping)
  if (isWhole) await store.complete()
  else await store.setFact('since', String(run.recall(RESTORED_FILES_KEY)))
  const digest = store.marked()?.digest
  store.close()
  if (digest !== undefined) await run.remember(RESTORED_FILES_KEY, digest)
}

async function contentOf(path: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of (await old.read(path)) as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Of a plan: how many files it is about, each change looked at as a journal and a person do it. */
async function planned(step: Step): Promise<number> {
  let met = 0
  for (const change of await step.plan(run)) {
    step.describe(change)
    const { items, entries, before } = JSON.parse(JSON.stringify(change))
    for (const { path, entry, kind } of items ?? entries ?? before)
      if ((kind ?? entry.kind) === 'file') met += path === '' ? 0 : 1
  }
  return met
}

const told = async (step: Step): Promise<readonly string[]> => (await step.verify(run)).map(({ message }) => message)

const found: Record<string, unknown> = {}
await saved('files', true)
old.edition = 1
found.changed = await planned(carry())
old.has = 0
found.gone = await planned(carry(all))
fresh.damaged = true
found.wrong = await told(restore())
found.named = readFileSync(join(directory, 'lists', 'wrong-on-the-new-host.txt'), 'utf8').split('\n').length - 1
found.mended = await planned(restore())
old.has = files
old.edition = 0
await saved('files-carried', false)
found.readBack = await told(carry())
found.sentOnceMore = await planned(carry())
old.has = 0
fresh.has = 2 * files
found.surplus = await planned(restore(all))
console.log(JSON.stringify(found))
rmSync(directory, { recursive: true, force: true })
