import { resolve } from 'node:path'
import { type Clock, isoTime } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import type { Database } from '../databases/port.ts'
import type { LookedUp, Lookup } from '../reconcile/lookup.ts'
import { stateDirectory } from './flags.ts'
import type { Session } from './session.ts'
import { utcWords } from './status-text.ts'

/**
 * `migrate reconcile PLAYBOOK --lookup TABLE KEY`: what became of a row. Read-only, beside a run or after it, and also when the old
 * host has been switched off. Returns the exit code: 1 when nobody knows such a row.
 */
export async function showLookup(playbook: string, table: string, key: string, session: Session): Promise<number> {
  const { withDisplay } = await import('./session.ts')
  return await withDisplay({ ...session, playbook }, 'text', async ({ display, clock }) => {
    const { concluded } = await import('./conclusion.ts')
    const started = clock.monotonic()
    const { run, answer } = await look(playbook, table, key, session, clock)
    display.tell({ time: isoTime(clock.now()), run, step: null, event: 'lookup', ...answer }, lookupLines(answer).join('\n'))
    return answer.rows.length > 0 ? concluded(display, clock, started) : concluded(display, clock, started, 1, 'failed')
  })
}

async function look(
  file: string,
  table: string,
  key: string,
  { io, flags }: Session,
  clock: Clock,
): Promise<{ readonly run: string; readonly answer: Lookup }> {
  const { buildWorld, loadPlaybook } = await import('../playbook/index.ts')
  const { readHistory } = await import('../run/state.ts')
  const { lookUp } = await import('../reconcile/lookup.ts')
  const { rulesFor } = await import('../steps/rules.ts')
  const playbook = await loadPlaybook(file, io.env)
  const directory = stateDirectory(flags, resolve(file), playbook.name)
  const { history } = await readHistory(directory)
  if (history.run === undefined) throw noRun(playbook.name)
  const world = await buildWorld(playbook, { clock })
  try {
    const answer = await lookUp({
      run: history.run.id,
      directory,
      old: world.old.database,
      new: present(world.new.database),
      table,
      key,
      modeOf: (each, schema) => rulesFor(world, schema)(each).mode,
    })
    return { run: history.run.id, answer }
  } finally {
    await world.close()
  }
}

const noRun = (name: string): MigrateError =>
  new MigrateError('run-missing', `There is no run of ${name} yet, so no row has been carried.`, {
    ending: 'usage',
    hint: 'Begin with  migrate run PLAYBOOK, or name the folder of the run with --state DIR.',
  })

function present(database: Database | undefined): Database {
  if (database !== undefined) return database
  throw new MigrateError('playbook-part-missing', 'The playbook gives no new.database: that is where the ledger is.', {
    ending: 'usage',
    hint: 'Add it, for example: new: { database: "postgres://shop@new.example.com/shop" }',
  })
}

/** The answer for people, one line for each row that has this number on either host. */
export function lookupLines({ table, key, rows, oldUnreachable }: Lookup): readonly string[] {
  const lines = rows.flatMap((row) => [`${sentence(table, row)}${goneWords(row)}`, ...hintFor(row)])
  const unknown = `Neither host has a row ${table} ${key}, and the ledger knows of none.`
  const quiet = oldUnreachable === undefined ? [] : [`The old host couldn't be asked: ${oldUnreachable}`]
  return [...(lines.length === 0 ? [unknown] : lines), ...quiet]
}

const goneWords = ({ goneSince }: LookedUp): string => (goneSince === true ? ' It has been deleted on the new host since.' : '')

function sentence(table: string, row: LookedUp): string {
  const { oldKey, newKey, from } = row
  const [source, target] = from === 'new' ? ['new', 'old'] : ['old', 'new']
  const [there, here] = from === 'new' ? [newKey, oldKey] : [oldKey, newKey]
  const when = row.at === undefined ? '' : ` (${utcWords(row.at)})`
  switch (row.became) {
    case 'carried':
      return `${table} ${there} was carried over from the ${source} host with the same number${when}.`
    case 'updated':
      return `${table} ${there} stands on both hosts; what the ${source} host changed was carried over${when}.`
    case 'deleted':
      return `${table} ${there} was deleted on the ${source} host, and so on the ${target} one${when}.`
    case 'remapped':
      return `${table} ${there} of the ${source} host is now ${here} on the ${target} one${when}: its number had been given to another row there.`
    case 'merged':
      return there === here
        ? `${table} ${there} was made one row of both hosts' versions${when}.`
        : `${table} ${there} of the ${source} host is the same as ${here} on the ${target} one, and was merged into it${when}.`
    case 'skipped':
      return `${table} ${there} of the ${source} host was left out, as decided${when}: the ${target} host stays as it is.`
    case 'parked':
      return `${table} ${oldKey} is parked for you to decide: ${row.reason ?? ''}.`
    case 'same':
      return `${table} ${oldKey} is the same on both hosts: nothing of it had to be carried.`
    case 'differs':
      return `${table} ${oldKey} isn't the same on both hosts, and no pass has carried it: it was changed since.`
    case 'not-carried':
      return `${table} ${oldKey} is on the old host alone: it hasn't been carried over yet.`
    case 'born-on-new':
      return `${table} ${newKey} of the new host is a row of its own there: the old host has none that it comes from.`
    case 'on-new':
      return `${table} ${newKey} is on the new host, and the ledger has no entry for it: it came with the snapshot, or was born there.`
    case 'copied-only':
      return `${table} ${oldKey ?? newKey} was copied at most with the snapshot: by the playbook (copy-only) the table isn't reconciled.`
    case 'not-copied':
      return `${table} ${oldKey ?? newKey} stays where it is: by the playbook (skip) the table's rows aren't copied.`
  }
}

function hintFor({ became }: LookedUp): readonly string[] {
  if (became === 'parked') return ['→ migrate reconcile PLAYBOOK --resolve  asks you about it.']
  if (became === 'not-carried') return ['→ migrate reconcile PLAYBOOK  carries it.']
  if (became === 'differs') return ['→ migrate reconcile PLAYBOOK --dry-run  says what would be done.']
  return []
}
