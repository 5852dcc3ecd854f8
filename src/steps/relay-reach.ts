import { isIP } from 'node:net'
import { type Finding, MigrateError } from '../base/errors.ts'
import type { StepRun } from '../run/step.ts'
import type { World } from './world.ts'

const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/
const SECONDS = 8
const [REACHED, REFUSED] = ['migrate: reached', 'migrate: refused']

interface Place {
  readonly host: string
  readonly port: number
}

/** What was learnt of the way from the old host to the new database. */
type Reach =
  | { readonly state: 'reached' }
  | { readonly state: 'refused'; readonly place: Place; readonly said: string }
  | { readonly state: 'untried'; readonly why: string }

/**
 * Opens a connection from another host and closes it: nothing is sent. bash does so by itself (Bash manual, "Redirections",
 * /dev/tcp). Says which it was in its last line; without bash and timeout it says nothing.
 */
export function reachCommand({ host, port }: Place): string | undefined {
  if (!HOST_NAME.test(host) && isIP(host) === 0) return undefined
  const open = `timeout ${SECONDS} bash -c "exec 3<>/dev/tcp/${host}/${port}" 2>&1`
  return `command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1 && if ${open}; then echo "${REACHED}"; else echo "${REFUSED}"; fi`
}

async function reach(world: World, named: string | undefined, run: StepRun): Promise<Reach> {
  const place = placeOf(world, named)
  if (typeof place === 'string') return { state: 'untried', why: place }
  const { shell } = world.old
  if (shell === undefined) return { state: 'untried', why: 'the old host gives no shell' }
  const command = reachCommand(place)
  if (command === undefined) return { state: 'untried', why: `${place.host} is no host name` }
  const stdout = await shell.run(command, run.signal).then(
    (result) => result.stdout,
    (error: unknown) => {
      // An account for files alone gives no shell.
      if (error instanceof MigrateError && !run.signal.aborted) return ''
      throw error
    },
  )
  if (stdout.includes(REACHED)) return { state: 'reached' }
  if (!stdout.includes(REFUSED)) return { state: 'untried', why: 'the old host’s shell has no bash' }
  const said = /: ([^:\n]+)$/m.exec(stdout.replace(REFUSED, '').trim())?.[1] ?? `no answer within ${SECONDS} seconds`
  return { state: 'refused', place, said }
}

/** Where the new database listens, or why that isn't known. */
function placeOf(world: World, named: string | undefined): Place | string {
  if (named !== undefined) {
    const colon = named.lastIndexOf(':')
    return { host: named.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(named.slice(colon + 1)) }
  }
  const { MIGRATE_HOST: host = '', MIGRATE_PORT: port = '' } = world.new.databaseEnvironment?.() ?? {}
  if (host === '' || port === '') return 'the playbook gives no new.database'
  if (/^(localhost|127\.0\.0\.1|::1)$/.test(host)) return `${host}, as new.database has it, is another machine there`
  return { host, port: Number(port) }
}

const blocked = ({ host, port }: Place, said: string): { readonly message: string; readonly hint: string } => ({
  message: `The old host can't reach the new database at ${host}:${port} (${said}): its shop would fail if it were pointed there.`,
  hint: 'Open the new database’s port to the old host’s address, or use relay: { with: proxy } or { with: redirect } instead. If it has another name there, give database: NAME:PORT.',
})

export async function reachFindings(world: World, named: string | undefined, run: StepRun): Promise<readonly Finding[]> {
  const result = await reach(world, named, run)
  if (result.state === 'reached') return []
  if (result.state === 'refused')
    return [{ severity: 'error', code: 'relay-database-unreachable', ...blocked(result.place, result.said) }]
  return [
    {
      severity: 'warning',
      code: 'relay-database-untried',
      message: `Whether the old host reaches the new database couldn't be tried from there: ${result.why}.`,
      hint: 'It shows when the step runs: if the old site then fails, its config is given back at once. Ask the new host whether its database takes connections from outside; where it is known by another name there, give database: NAME:PORT.',
    },
  ]
}

/** Right before the change; what can't be tried is left to the old site's answer. Throws `relay-database-unreachable`. */
export async function mustReach(world: World, named: string | undefined, run: StepRun): Promise<void> {
  const result = await reach(world, named, run)
  if (result.state !== 'refused') return
  const { message, hint } = blocked(result.place, result.said)
  throw new MigrateError('relay-database-unreachable', `${message} Nothing was changed.`, { hint })
}
