import { styleText } from 'node:util'
import { isoTime } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { findTable, readableColumns } from '../databases/schema.ts'
import { type Decision, readDecisions, recordDecisions } from '../reconcile/decisions.ts'
import { keyCells } from '../reconcile/fingerprint.ts'
import { type ParkedRow, readParked } from '../reconcile/parked.ts'
import { readHistory } from '../run/state.ts'
import { type FileDecision, readFileDecisions, recordFileDecisions } from '../steps/file-decisions.ts'
import { tablesOf } from '../steps/schema-seen.ts'
import type { Host } from '../steps/world.ts'
import { chooseInTerminal } from './ask.ts'
import type { ReconcileFlags } from './commands/reconcile.ts'
import { settle } from './decide.ts'
import { settleFiles } from './decide-files.ts'
import type { Cells } from './display/parked-view.ts'
import type { Io } from './io.ts'
import { type SeenFile, seenFiles } from './parked-files.ts'
import type { Prepared } from './prepare.ts'
import { askAbout, type Choice, nobodyToAsk } from './resolve.ts'
import { askAboutFiles } from './resolve-files.ts'

/** What waits for a person. */
interface Waiting {
  readonly rows: readonly ParkedRow[]
  readonly files: readonly SeenFile[]
}

interface Decided {
  readonly rows: readonly Decision[]
  readonly files: readonly FileDecision[]
}

export async function isBackAlready(directory: string): Promise<boolean> {
  const { hasGoneBack } = await import('./way-back.ts')
  return await hasGoneBack((await readHistory(directory)).history)
}

/** Keeps what a person decides, for the pass that follows. */
export async function decide(prepared: Prepared, flags: ReconcileFlags, io: Io): Promise<void> {
  const { options, display, world } = prepared
  const { directory } = options
  const target = (await isBackAlready(directory)) ? world.old : world.new
  const parked: Waiting = { rows: await readParked(directory), files: await seenFiles(directory, target.files) }
  const tell = (event: string, text: string, more: object): void =>
    display.tell({ time: isoTime(options.clock.now()), run: null, step: null, event, ...more }, text)
  const { rows, files } =
    flags.decisions === undefined
      ? await askPerson(parked, target, { flags, io })
      : await readFile(flags.decisions, parked, directory, (text, settled) => tell('settled', text, settled))
  await recordDecisions(directory, rows)
  await recordFileDecisions(directory, files)
  const count = rows.length + files.length
  const more = { decisions: rows, ...(files.length === 0 ? {} : { files }) }
  if (count > 0)
    tell('decided', `${formatCount(count)} ${count === 1 ? 'decision' : 'decisions'} kept; now they are carried out.`, more)
  else if (parked.rows.length + parked.files.length === 0) tell('decided', 'Nothing is parked: there is nothing to decide.', more)
}

async function readFile(
  file: string,
  parked: Waiting,
  directory: string,
  tellSettled: (text: string, settled: { readonly rows: readonly string[]; readonly files: readonly string[] }) => void,
): Promise<Decided> {
  const { loadDecisions } = await import('../playbook/index.ts')
  const { decisionsError } = await import('../playbook/decisions.ts')
  const written = await loadDecisions(file)
  const rows = settle(written, parked.rows, await readDecisions(directory))
  const files = settleFiles(written, parked.files, await readFileDecisions(directory))
  const problems = [...rows.problems, ...files.problems].sort((a, b) => a.line - b.line)
  if (problems.length > 0) throw decisionsError(file, problems)
  const settled = [...rows.settled, ...files.settled]
  if (settled.length > 0)
    tellSettled(`Settled before, and left as it is: ${settled.join('; ')}.`, { rows: rows.settled, files: files.settled })
  return { rows: rows.decisions, files: files.decisions }
}

async function askPerson(
  { rows, files }: Waiting,
  target: Host,
  { flags, io }: { readonly flags: ReconcileFlags; readonly io: Io },
): Promise<Decided> {
  if (rows.length + files.length === 0) return { rows: [], files: [] }
  if (!io.isTerminal || flags.json === true || flags.yes === true) throw nobodyToAsk(rows, files)
  let isOver = false
  const choose = async <T extends string>(question: string, choices: readonly Choice<T>[]): Promise<T | undefined> => {
    const answer = await chooseInTerminal(question, choices)
    isOver ||= answer === 'quit'
    return answer
  }
  const options = {
    write: (text: string): void => void io.stdout.write(text),
    columns: Math.max(60, io.stdout.columns ?? 80),
    paint: (colour: Parameters<typeof styleText>[0], text: string): string =>
      io.isColoured ? styleText(colour, text, { validateStream: false }) : text,
    choose,
  }
  const from = target.side === 'old' ? 'new' : 'old'
  const decided = rows.length === 0 ? [] : await askAbout(rows, { ...options, from, collided: (row) => rowInTheWay(row, target) })
  const decidedFiles = decided === undefined || isOver ? [] : await askAboutFiles(files, options)
  if (decided !== undefined && decidedFiles !== undefined) return { rows: decided, files: decidedFiles }
  throw new MigrateError('interrupted', 'Nothing was decided, and nothing was changed.', { ending: 'interrupted' })
}

/** Asked now: it may have changed since the row was parked. */
async function rowInTheWay({ table: name, collision }: ParkedRow, { database }: Host): Promise<Cells | undefined> {
  if (collision === null || database === undefined) return undefined
  const table = findTable(await tablesOf(database), name)
  if (table === undefined || table === 'ambiguous') return undefined
  const [row] = await database.rowsByKey(table, [keyCells(collision.key)])
  return row === undefined
    ? undefined
    : Object.fromEntries(readableColumns(table).map((column, position) => [column.name, row[position] ?? null]))
}
