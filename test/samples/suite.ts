import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../src/databases/port.ts'
import { findTable, fullName } from '../../src/databases/schema.ts'
import { FakeClock } from '../fakes/clock.ts'
import { perform, TestRun, testWorld } from '../fakes/step-run.ts'
import { stepsOf } from '../steps/moving-shop.ts'
import { SAMPLES_SKIPPED, type SampleName, sample } from './samples.ts'

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
  /** Codes of what `check` says beside nothing at all. */
  readonly findings?: readonly string[]
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
  const missing = [...found.values()].some((scripts) => scripts === undefined)
  describe.skipIf(missing)(`sample databases on ${engine}${missing ? SAMPLES_SKIPPED : ''}`, () => {
    let host: SampleHost
    beforeAll(async () => {
      host = await open()
    })
    afterAll(() => host?.close())

    for (const [name, expectation] of Object.entries(expected)) {
      it(`${name} arrives table by table and object by object`, async () => {
        const scripts = found.get(name as SampleName) ?? []
        const [from, to] = [await host.database(), await host.database()]
        await from.load(scripts)
        const before = await from.contents()
        for (const [table, rows] of Object.entries(expectation.rows))
          expect(before[table], table).toMatch(new RegExp(`^${rows} `))
        await move(from, to, expectation)
        expect(await to.contents()).toEqual(before)
        expect(await to.schema()).toEqual(await from.schema())
        expect(await from.contents()).toEqual(before)
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

async function move(
  from: SampleDatabase,
  to: SampleDatabase,
  { findings = [], copyOnly = [] }: SampleExpectation,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'migrate-samples-'))
  const [old, fresh] = [from.open(), to.open()]
  try {
    const schema = await old.schema()
    expect([...new Set(schema.findings.map((finding) => finding.code))].sort()).toEqual([...findings].sort())
    const keyless = schema.tables.filter((table) => table.key.length === 0).map((table) => fullName(table.name))
    const named = copyOnly.flatMap((name) => findTable(schema.tables, name) ?? [])
    expect(named.map((table) => (table === 'ambiguous' ? table : fullName(table.name))).sort()).toEqual(keyless.sort())
    const world = testWorld({
      tables: Object.fromEntries(keyless.map((name) => [name, { mode: 'copy-only' as const }])),
      old: { database: old },
      new: { database: fresh },
    })
    const run = new TestRun(directory, new FakeClock(undefined, { automatic: false }))
    const { snapshot, restore, bump } = stepsOf(world)
    for (const step of [snapshot, restore]) {
      const problems = (await step.check(run)).filter((finding) => finding.severity === 'error')
      expect(problems).toEqual([])
    }
    await perform(snapshot, run)
    await perform(restore, run)
    expect(await restore.plan(run)).toEqual([])
    expect((await restore.verify(run)).map((finding) => finding.severity)).not.toContain('error')
    expect((await bump.check(run)).filter((finding) => finding.severity === 'error')).toEqual([])
    await fresh.removeOwnTables()
  } finally {
    await old.close()
    await fresh.close()
    await rm(directory, { recursive: true, force: true })
  }
}
