// A journal of so many long changes as the first argument says, written, read again, and gone through as a rollback does it. To stdout go what was
// met, each once, and the MiB that were still in use at the fullest, after all that nobody refers to was taken away (a bound on the heap itself would
// measure when the engine does that).
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { RunHistory } from '../../src/run/history.ts'
import { openJournal } from '../../src/run/journal.ts'
import { readHistory } from '../../src/run/state.ts'
import { undoings } from '../../src/run/undo.ts'

const FILES = 500
/** So many changes are gone through between two looks. */
const BETWEEN = 50
const changes = Number(process.argv[2])
const { gc: collect } = globalThis
if (collect === undefined) throw new Error('run it with --expose-gc')
const inUse = (): number => {
  collect()
  return process.memoryUsage().heapUsed / 1024 ** 2
}
const atFirst = inUse()
let most = atFirst
const directory = mkdtempSync(join(tmpdir(), 'migrate-long-changes-'))
const fence = { number: 1, assertHeld: async () => undefined }
const journal = await openJournal({ directory, clock: systemClock, fence }, undefined)
const written = new RunHistory()
for (let at = 0; at < changes; at += 1) {
  const change = Array.from({ length: FILES }, (_, index) => ({
    path: `photos of change ${at}/${index}.jpg`,
    size: index,
    mode: null,
  }))
  const begun = { type: 'change-begun', step: 'carry', change, summary: `carry ${at}`, undoable: true } as const
  const { entry, reread } = await journal.append(begun)
  written.add(entry, reread)
  if (at % BETWEEN === 0) most = Math.max(most, inUse())
}
await journal.close()
const { history: read } = await readHistory(directory)
const met = new Set<string>()
let gone = 0
for (const history of [written, read])
  for (const { change, summary } of undoings(history, () => true)) {
    const [first, ...more] = Array.isArray(change) ? change : []
    if (more.length === FILES - 1) met.add(`${summary}: ${first.path}`)
    gone += 1
    if (gone % BETWEEN === 0) most = Math.max(most, inUse())
  }
console.log(JSON.stringify({ met: met.size, first: [...met][0], mebibytes: most - atFirst }))
rmSync(directory, { recursive: true })
