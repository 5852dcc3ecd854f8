import { styleText } from 'node:util'
import { isoTime } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { findTable, readableColumns } from '../databases/schema.ts'
import { type Decision, readDecisions, recordDecisions } from '../reconcile/decisions.ts'
import { keyCells } from '../reconcile/fingerprint.ts'
import { type ParkedRow, readParked } from '../reconcile/parked.ts'
import type { RunResult } from '../run/command.ts'
import { readHistory } from '../run/state.ts'
import { passOf } from '../steps/carry-files.ts'
import type { Host } from '../steps/world.ts'
import { chooseInTerminal } from './ask.ts'
import type { ReconcileFlags } from './commands/reconcile.ts'
import { settle } from './decide.ts'
import type { Cells } from './display/parked-view.ts'
import type { Io } from './io.ts'
import type { Prepared } from './prepare.ts'
import { askAbout, nobodyToAsk } from './resolve.ts'
import { withPlaybook } from './session.ts'

/** `migrate reconcile`: one pass, after what a person has decided about parked rows, where that was asked for. */
export async function reconcile(playbook: string, flags: ReconcileFlags, io: Io): Promise<number> {
  const dryRun = flags.dryRun ?? false
  return await withPlaybook(playbook, { io, flags }, dryRun ? 'reconcile' : 'live', async (prepared) => {
    if (flags.resolve === true || flags.decisions !== undefined) await decide(prepared, playbook, flags, io)
    // After the way back the old host is where customers are: there is nothing of it to follow.
    if (flags.follow !== true || (await isBackAlready(prepared.options.directory))) return await onePass(prepared, dryRun)
    const { follow } = await import('./follow.ts')
    return await follow(prepared, flags.quiet)
  })
}

async function onePass({ options, world, playbook, display }: Prepared, dryRun: boolean): Promise<RunResult> {
  const { runSequence } = await import('../run/runner.ts')
  if (await isBackAlready(options.directory)) {
    // After the way back it is what the new host got that is carried: the same pass as the rollback's.
    const { goingBack } = await import('../steps/carry-back.ts')
    const sequence = goingBack(world, options.sequence)
    display.begin({ name: playbook.name, playbook: playbook.file, sequence })
    return await runSequence({ ...options, dryRun, sequence })
  }
  // The steps that led here aren't gone through again, so they aren't shown.
  const alone = passOf(options.sequence)
  display.begin({ name: playbook.name, playbook: playbook.file, sequence: alone })
  return await runSequence({ ...options, dryRun, only: alone.length === 0 ? 'reconcile' : alone.flat().map(({ id }) => id) })
}

async function isBackAlready(directory: string): Promise<boolean> {
  const { hasGoneBack } = await import('./way-back.ts')
  return await hasGoneBack((await readHistory(directory)).history)
}

/** Keeps what a person decides, for the pass that follows. */
async function decide(prepared: Prepared, playbook: string, flags: ReconcileFlags, io: Io): Promise<void> {
  const { options, display } = prepared
  const parked = await readParked(options.directory)
  const tell = (event: string, text: string, more: object): void =>
    display.tell({ time: isoTime(options.clock.now()), run: null, step: null, event, ...more }, text)
  const decisions =
    flags.decisions === undefined
      ? await askPerson(parked, prepared, playbook, { flags, io })
      : await readFile(flags.decisions, parked, options.directory, (text, rows) => tell('settled', text, { rows }))
  await recordDecisions(options.directory, decisions)
  const count = `${formatCount(decisions.length)} ${decisions.length === 1 ? 'decision' : 'decisions'}`
  if (decisions.length > 0) tell('decided', `${count} kept; now they are carried out.`, { decisions })
  else if (parked.length === 0) tell('decided', 'Nothing is parked: there is nothing to decide.', { decisions })
}

async function readFile(
  file: string,
  parked: readonly ParkedRow[],
  directory: string,
  tellSettled: (text: string, rows: readonly string[]) => void,
): Promise<readonly Decision[]> {
  const { loadDecisions } = await import('../playbook/index.ts')
  const { decisionsError } = await import('../playbook/decisions.ts')
  const written = await loadDecisions(file)
  const { decisions, settled, problems } = settle(written, parked, await readDecisions(directory))
  if (problems.length > 0) throw decisionsError(file, problems)
  if (settled.length > 0) tellSettled(`Settled before, and left as it is: ${settled.join('; ')}.`, settled)
  return decisions
}

async function askPerson(
  parked: readonly ParkedRow[],
  { options, world }: Prepared,
  playbook: string,
  { flags, io }: { readonly flags: ReconcileFlags; readonly io: Io },
): Promise<readonly Decision[]> {
  if (parked.length === 0) return []
  if (!io.isTerminal || flags.json === true || flags.yes === true) throw nobodyToAsk(parked, playbook)
  const isBack = await isBackAlready(options.directory)
  const target = isBack ? world.old : world.new
  const decisions = await askAbout(parked, {
    write: (text) => void io.stdout.write(text),
    columns: Math.max(60, io.stdout.columns ?? 80),
    paint: (colour, text) => (io.isColoured ? styleText(colour, text, { validateStream: false }) : text),
    from: isBack ? 'new' : 'old',
    choose: chooseInTerminal,
    collided: (row) => rowInTheWay(row, target),
  })
  if (decisions !== undefined) return decisions
  throw new MigrateError('interrupted', 'Nothing was decided, and nothing was changed.', { ending: 'interrupted' })
}

/** Asked now: it may have changed since the row was parked. */
async function rowInTheWay({ table: name, collision }: ParkedRow, { database }: Host): Promise<Cells | undefined> {
  if (collision === null || database === undefined) return undefined
  const table = findTable((await database.schema()).tables, name)
  if (table === undefined || table === 'ambiguous') return undefined
  const [row] = await database.rowsByKey(table, [keyCells(collision.key)])
  return row === undefined
    ? undefined
    : Object.fromEntries(readableColumns(table).map((column, position) => [column.name, row[position] ?? null]))
}
