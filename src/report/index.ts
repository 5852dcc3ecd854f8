import { readEntries } from '../run/journal.ts'
import { readReport } from './data.ts'
import { renderMarkdown } from './markdown.ts'

export const REPORT_NAME = 'report.md'

/**
 * The report of the run whose journal lies in a state directory, as Markdown; `undefined` when no run was begun there. `without` is
 * the step that writes it, whose own lines are left out. Throws `journal-damaged`.
 */
export async function reportOf(directory: string, without?: string): Promise<string | undefined> {
  const entries = await readEntries(directory)
  const data = entries === undefined ? undefined : readReport(entries, without)
  return data === undefined ? undefined : renderMarkdown(data)
}
