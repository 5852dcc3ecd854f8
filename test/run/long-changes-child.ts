// A journal of so many long changes as the first argument says, written, read again, and gone through as a rollback does it, in a process whose
// memory the test bounds. What was met, each once, goes to stdout.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { RunHistory } from '../../src/run/history.ts'
import { openJournal } from '../../src/run/journal.ts'
import { readHistory } from '../../src/run/state.ts'
import { undoings } from '../../src/run/undo.ts'

const FILES = 500
const changes = Number(process.argv[2])
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
}
await journal.close()
const met = new Set<string>()
for (const history of [written, (await readHistory(directory)).history])
  for (const { change, summary } of undoings(history, () => true)) {
    const [first, ...more] = Array.isArray(change) ? change : []
    if (more.length === FILES - 1) met.add(`${summary}: ${first.path}`)
  }
console.log(met.size, [...met][0])
rmSync(directory, { recursive: true })
