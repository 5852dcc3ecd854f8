import { readJournal } from '../../src/run/journal.ts'
import type { JournalEntry } from '../../src/run/records.ts'

/** Every entry of a journal; `undefined` when there is none. */
export async function readEntries(directory: string): Promise<readonly JournalEntry[] | undefined> {
  const entries: JournalEntry[] = []
  const end = await readJournal(directory, (entry) => entries.push(entry))
  return end === undefined ? undefined : entries
}
