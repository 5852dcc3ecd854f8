// Moves one database with the real steps, in a process of its own so that its memory can be seen from outside. What to move comes as
// JSON in the variable MOVE; the seconds of each part go to stdout as JSON.
import { systemClock } from '../../../src/base/clock.ts'
import type { Json } from '../../../src/base/json.ts'
import { Redactor, Secret } from '../../../src/base/secret.ts'
import type { Database } from '../../../src/databases/port.ts'
import { runSequence } from '../../../src/run/runner.ts'
import type { Step } from '../../../src/run/step.ts'
import { restoreDatabaseKind } from '../../../src/steps/restore-database.ts'
import { snapshotDatabaseKind } from '../../../src/steps/snapshot-database.ts'
import type { StepKind, World } from '../../../src/steps/world.ts'
import { testContext, testWorld } from '../../fakes/step-run.ts'
import { PARALLEL, type Place } from './engine.ts'

export interface Move {
  readonly adapter: string
  readonly old: Place
  readonly new: Place
  readonly folder: string
  /** False: rows are copied, and none of them fingerprinted. */
  readonly baseline: boolean
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

/** By the runner, as `migrate run` does it: what follows begins beside what it follows. A part's seconds are those of all its changes, which overlap. */
async function move({ adapter, old, new: fresh, folder, baseline }: Move): Promise<Readonly<Record<string, number>>> {
  const [from, to] = await Promise.all([open(adapter, old, 'old database'), open(adapter, fresh, 'new database')])
  const hosts = testWorld({ old: { database: from, connections: PARALLEL }, new: { database: to, connections: PARALLEL } })
  const world: World = baseline ? hosts : { ...hosts, defaults: { ...hosts.defaults, mode: 'copy-only' } }
  const step = <O>(kind: StepKind<O>, options?: Json): Step =>
    kind.create(kind.options.parse(options), testContext(world, kind.name))
  const parts = new Parts()
  let failure = ''
  try {
    const { outcome } = await runSequence({
      name: 'bench',
      directory: folder,
      sequence: [[step(snapshotDatabaseKind, { method: 'portable' })], [step(restoreDatabaseKind)]],
      binding: { endpoints: {}, playbook: {} },
      clock: systemClock,
      redactor: new Redactor(),
      sink: (event) => {
        // What stopped the others comes first.
        if (event.event === 'failed' && failure === '') failure = event.message
        if (event.event === 'change') parts.add(event.change, event.phase)
      },
    })
    if (outcome !== 'ok') throw new Error(`the run ended as ${outcome}: ${failure}`)
    return parts.seconds
  } finally {
    await Promise.all([from.close(), to.close()])
  }
}

/** Seconds by kind of change, from its beginning to its end. */
class Parts {
  readonly seconds: Record<string, number> = {}
  readonly #begun = new Map<string, number>()

  add(change: Json, phase: string): void {
    const name = JSON.stringify(change)
    const kind = typeof change === 'object' && change !== null && 'kind' in change ? String(change.kind) : 'snapshot'
    if (phase === 'applying') this.#begun.set(name, systemClock.monotonic())
    const begun = this.#begun.get(name)
    if (phase === 'applied' && begun !== undefined)
      this.seconds[kind] = (this.seconds[kind] ?? 0) + (systemClock.monotonic() - begun) / 1000
  }
}

if (process.env.MOVE !== undefined) console.log(JSON.stringify(await move(JSON.parse(process.env.MOVE))))
