// Moves one database with the real steps, in a process of its own so that its memory can be seen from outside. What to move comes as
// JSON in the variable MOVE; the seconds of each part go to stdout as JSON.
import { systemClock } from '../../../src/base/clock.ts'
import { Secret } from '../../../src/base/secret.ts'
import type { Database } from '../../../src/databases/port.ts'
import type { Step } from '../../../src/run/step.ts'
import { restoreDatabaseKind } from '../../../src/steps/restore-database.ts'
import { snapshotDatabaseKind } from '../../../src/steps/snapshot-database.ts'
import { TestRun, testContext, testWorld } from '../../fakes/step-run.ts'
import { PARALLEL, type Place } from './engine.ts'

export interface Move {
  readonly adapter: string
  readonly old: Place
  readonly new: Place
  readonly folder: string
}

type Options = Omit<Place, 'password'> & { readonly password: Secret; readonly connections: number; readonly label: string }

/** One line for each engine that has an adapter. */
const ADAPTERS: Readonly<Record<string, (options: Options) => Promise<Database>>> = {
  postgres: async (options) => (await import('../../../src/databases/postgres/index.ts')).openPostgres(options),
  mysql: async (options) => (await import('../../../src/databases/mysql/index.ts')).openMysql(options),
  mssql: async (options) =>
    (await import('../../../src/databases/mssql/index.ts')).openMssql({
      ...options,
      encrypt: false,
      trustServerCertificate: true,
    }),
}

export const hasAdapter = (name: string): boolean => Object.hasOwn(ADAPTERS, name)

/** The adapter of ours on one database. */
export async function open(adapter: string, place: Place, label: string): Promise<Database> {
  const opened = ADAPTERS[adapter]
  if (opened === undefined) throw new Error(`there is no adapter ${adapter}`)
  return await opened({ ...place, password: new Secret(place.password), connections: PARALLEL, label })
}

async function move({ adapter, old, new: fresh, folder }: Move): Promise<Readonly<Record<string, number>>> {
  const [from, to] = await Promise.all([open(adapter, old, 'old database'), open(adapter, fresh, 'new database')])
  const world = testWorld({ old: { database: from, connections: PARALLEL }, new: { database: to, connections: PARALLEL } })
  const run = new TestRun(folder)
  const parts: Record<string, number> = {}
  const timed = async <T>(part: string, work: () => Promise<T>): Promise<T> => {
    const begun = systemClock.monotonic()
    const result = await work()
    parts[part] = (parts[part] ?? 0) + (systemClock.monotonic() - begun) / 1000
    return result
  }
  const perform = async (step: Step): Promise<void> => {
    for (const change of await timed('plan', () => step.plan(run))) {
      const kind = typeof change === 'object' && change !== null && 'kind' in change ? String(change.kind) : 'snapshot'
      await timed(kind, () => step.apply(change, run))
    }
  }
  try {
    await perform(snapshotDatabaseKind.create(snapshotDatabaseKind.options.parse(undefined), testContext(world, 'snapshot')))
    await perform(restoreDatabaseKind.create(restoreDatabaseKind.options.parse(undefined), testContext(world, 'restore')))
    return parts
  } finally {
    await Promise.all([from.close(), to.close()])
  }
}

if (process.env.MOVE !== undefined) console.log(JSON.stringify(await move(JSON.parse(process.env.MOVE))))
