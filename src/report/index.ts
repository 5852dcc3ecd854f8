import { readJournal } from '../run/journal.ts'
import { ReportFold } from './data.ts'
import { renderMarkdown } from './markdown.ts'

export const REPORT_NAME = 'report.md'

/**
 * The report of the run whose journal lies in a state directory, as Markdown; `undefined` when no run was begun there. `without` is
 * the step that writes it, whose own lines are left out. Throws `journal-damaged`.
 */
export async function reportOf(directory: string, without?: string): Promise<string | undefined> {
  const fold = new ReportFold(without)
  await readJournal(directory, (entry) => fold.add(entry))
  const data = fold.result()
  return data === undefined ? undefined : renderMarkdown(data)
}
