import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Finding } from '../../src/base/errors.ts'
import type { Database } from '../../src/databases/port.ts'
import { findTable, fullName, type Schema } from '../../src/databases/schema.ts'
import { reconcileKind } from '../../src/steps/reconcile.ts'
import type { World } from '../../src/steps/world.ts'
import { FakeClock } from '../fakes/clock.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { stepsOf } from '../steps/moving-shop.ts'
import { type Filler, fillerFor, type MadeRows, ROWS, type Types } from './filler.ts'
import { SAMPLES_SKIPPED, type SampleName, sample } from './samples.ts'

/** Rows that each table gets on either host before a pass of reconcile. */
const LATE = 4

/** One database of an engine, from outside the adapter. */
export interface SampleDatabase {
  /** Runs a sample's scripts, in order, by the engine's own client where it has one. */
  load(scripts: readonly string[]): Promise<void>
  /** The adapter under test. */
  open(): Database
  /** For every table with rows: how many and a hash of all of them, computed by the server. By name. */
  contents(): Promise<Readonly<Record<string, string>>>
  /** Every object of the schema in the engine's own words, in an order of its own. */
  schema(): Promise<readonly string[]>
  /** Adds rows one by one; what the server doesn't take isn't there then. In the order given. */
  add(made: readonly MadeRows[]): Promise<void>
  /** For making rows up: what the types of this database mean. */
  types(schema: Schema): Types
}

/** A server of an engine on which samples are moved from one database to another. */
export interface SampleHost {
  /** A new, empty database. */
  database(): Promise<SampleDatabase>
  close(): Promise<void>
}

export interface SampleExpectation {
  /** Rows of some tables, so that a script that loads nothing isn't taken for a success. */
  readonly rows: Readonly<Record<string, number>>
  /** The fewest tables that have rows once more were made up for all of them; nothing is made up when absent. */
  readonly filled?: number
  /** Codes of what `check` says beside nothing at all. */
  readonly findings?: readonly string[]
  /** Statements of the schema that a finding says don't come along. */
  readonly left?: RegExp
  /** Tables without a key, which are copied and not compared later. */
  readonly copyOnly?: readonly string[]
}

/** Public sample databases, moved by the steps of a migration and compared on the server. */
export function samplesSuite(
  engine: string,
  found: ReadonlyMap<SampleName, readonly string[] | undefined>,
  expected: Readonly<Partial<Record<SampleName, SampleExpectation>>>,
  open: () => Promise<SampleHost>,
): void {
  const missing = [...found.values()].every((scripts) => scripts === undefined)
  describe.skipIf(missing)(`sample databases on ${engine}${missing ? SAMPLES_SKIPPED : ''}`, () => {
    let host: SampleHost
    beforeAll(async () => {
      host = await open()
    })
    afterAll(() => host?.close())

    for (const [name, expectation] of Object.entries(expected)) {
      const scripts = found.get(name as SampleName)
      const skipped = scripts === undefined && !missing ? SAMPLES_SKIPPED : ''
      it.skipIf(scripts === undefined)(`${name} arrives table by table and object by object${skipped}`, async () => {
        const [from, to] = [await host.database(), await host.database()]
        await from.load(scripts ?? [])
        const loaded = await from.contents()
        for (const [table, rows] of Object.entries(expectation.rows))
          expect(loaded[table], table).toMatch(new RegExp(`^${rows} `))
        await withBoth(from, to, (both) => move(both, expectation))
      })
    }
  })
}

/** The scripts of samples, by name. */
export async function samplesOf(names: readonly SampleName[]): Promise<ReadonlyMap<SampleName, readonly string[] | undefined>> {
  const found = new Map<SampleName, readonly string[] | undefined>()
  for (const name of names) found.set(name, await sample(name))
  return found
}

/** Two databases, each with its adapter. */
interface Both {
  readonly from: SampleDatabase
  readonly to: SampleDatabase
  readonly old: Database
  readonly fresh: Database
  readonly directory: string
}

async function withBoth(from: SampleDatabase, to: SampleDatabase, work: (both: Both) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'migrate-samples-'))
  const [old, fresh] = [from.open(), to.open()]
  try {
    await work({ from, to, old, fresh, directory })
  } finally {
    await old.close()
    await fresh.close()
    await rm(directory, { recursive: true, force: true })
  }
}

async function move(both: Both, { findings = [], copyOnly = [], filled, left }: SampleExpectation): Promise<void> {
  const { from, to, old, fresh, directory } = both
  const schema = await old.schema()
  expect([...new Set(schema.findings.map((finding) => finding.code))].sort()).toEqual([...findings].sort())
  const keyless = schema.tables.filter((table) => table.key.length === 0).map((table) => fullName(table.name))
  const named = copyOnly.flatMap((name) => findTable(schema.tables, name) ?? [])
  expect(named.map((table) => (table === 'ambiguous' ? table : fullName(table.name))).sort()).toEqual(keyless.sort())
  const filler = fillerFor(schema, from.types(schema))
  if (filled !== undefined) await from.add(filler.rows(0, ROWS))
  const before = await from.contents()
  if (filled !== undefined) expect((await countsOf(from)).size).toBeGreaterThanOrEqual(filled)

  const world = testWorld({
    tables: Object.fromEntries(keyless.map((name) => [name, { mode: 'copy-only' as const }])),
    old: { database: old },
    new: { database: fresh },
  })
  const run = new TestRun(directory, new FakeClock(undefined, { automatic: false }))
  const { snapshot, restore, bump } = stepsOf(world)
  for (const step of [snapshot, restore]) expect(errorsOf(await step.check(run))).toEqual([])
  await perform(snapshot, run)
  await perform(restore, run)
  expect(await restore.plan(run)).toEqual([])
  expect(errorsOf(await restore.verify(run))).toEqual([])
  expect(errorsOf(await bump.check(run))).toEqual([])
  expect(await shopOf(to)).toEqual(before)
  expect(await from.contents()).toEqual(before)

  if (filled !== undefined) {
    await perform(bump, run)
    await reconcile(both, { filler, keyless, world, run })
  }
  await fresh.removeOwnTables()
  expect(await to.schema()).toEqual((await from.schema()).filter((statement) => left?.test(statement) !== true))
}

const errorsOf = (findings: readonly Finding[]): readonly Finding[] => findings.filter(({ severity }) => severity === 'error')

/** What a database holds but for the tables of the tool's own. */
const shopOf = async (database: SampleDatabase): Promise<Readonly<Record<string, string>>> =>
  Object.fromEntries(Object.entries(await database.contents()).filter(([name]) => !/(^|\.)migrate_(marks|ledger)$/.test(name)))

/** Rows of each table that has some. */
async function countsOf(database: SampleDatabase): Promise<ReadonlyMap<string, number>> {
  const all = Object.entries(await shopOf(database)).map(([name, said]) => [name, Number(said.split(' ')[0])] as const)
  return new Map(all.filter(([, rows]) => rows > 0))
}

/** Late rows on the old host, others meanwhile on the new one: after one pass the new one has them all. */
async function reconcile(
  { from, to }: Both,
  { filler, keyless, world, run }: { filler: Filler; keyless: readonly string[]; world: World; run: TestRun },
): Promise<void> {
  const tracked = (made: readonly MadeRows[]) => made.filter(({ table }) => !keyless.includes(fullName(table.name)))
  const start = await countsOf(from)
  await from.add(tracked(filler.rows(ROWS, LATE)))
  await to.add(tracked(filler.rows(ROWS + LATE, LATE, { numbers: false })))
  const [there, here] = [await countsOf(from), await countsOf(to)]
  const sum = new Map([...here].map(([name, rows]) => [name, rows + (there.get(name) ?? 0) - (start.get(name) ?? 0)]))
  const before = await from.contents()

  const step = reconcileKind.create({}, testContext(world, 'reconcile'))
  expect(errorsOf(await step.check(run))).toEqual([])
  await perform(step, run)
  expect(errorsOf(await step.verify(run))).toEqual([])

  expect(run.questions).toEqual([])
  expect(run.events).toContainEqual(
    expect.objectContaining({ event: 'reconciled', proof: expect.objectContaining({ unaccounted: 0 }) }),
  )
  expect(Object.fromEntries(await countsOf(to))).toEqual(Object.fromEntries(sum))
  expect(await from.contents()).toEqual(before)
}
