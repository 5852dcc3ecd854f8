import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { builtEnvironment, builtProgram } from '../built-program.ts'
import type { TestPostgres } from '../servers/postgres.ts'
import { eventsOf, migrate } from './migrate.ts'
import { type Shop, startServer, startShop } from './shop.ts'

let server: TestPostgres
let shop: Shop

beforeAll(async () => {
  server = await startServer('127.0.7.4')
  shop = await startShop(server, 'tables: { Sessions: skip, Visits: skip }')
  const run = await migrate(['run', shop.playbook, '--yes'])
  expect(run.exit, run.stdout).toBe(0)
})
afterAll(async () => {
  await shop?.close()
  await server?.stop()
})

const order = (total: number) => shop.old.sql(`insert into "Orders" ("CustomerID", "Total") values (1, ${total})`)
const totals = async (): Promise<readonly unknown[]> =>
  (await shop.new.sql(`select "Total"::int from "Orders" where "OrderID" > 10250 order by 1`)).flat()

describe('reconcile --follow', () => {
  it('carries orders as they come, compares everything when none comes any more, and again after late ones', async () => {
    await order(1)
    const child = spawn(
      process.execPath,
      [builtProgram(), 'reconcile', shop.playbook, '--follow', '--quiet', '8s', '--yes', '--json'],
      { env: builtEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const exit = new Promise<number | null>((resolve) => child.once('close', resolve))
    const passes: string[] = []
    let stdout = ''
    for await (const line of createInterface({ input: child.stdout })) {
      stdout += `${line}\n`
      const event = JSON.parse(line)
      if (event.event !== 'reconciled') continue
      passes.push(event.newOnly === true ? 'new' : 'full')
      // A second order while the first is being carried, a third after everything was compared.
      if (passes.length === 1) await order(2)
      if (passes.filter((pass) => pass === 'full').length === 1 && passes.at(-1) === 'full') await order(3)
    }
    expect(await exit, stdout).toBe(0)
    expect(await totals()).toEqual(['1', '2', '3'])
    expect(passes.filter((pass) => pass === 'full')).toHaveLength(2)
    expect(passes.at(-1)).toBe('full')
    const events = eventsOf(stdout)
    expect(events.filter((event) => event.step === null && event.event === 'started')).toHaveLength(1)
    expect(events.filter((event) => event.event === 'finished')).toHaveLength(1)
    expect(events.at(-1)).toMatchObject({ event: 'finished', outcome: 'ok', exit: 0 })
  })

  it.each([
    [['--quiet', '5m'], '--quiet goes with --follow only'],
    [['--follow', '--dry-run'], "--dry-run and --follow don't go together"],
    [['--follow', '--quiet', 'soon'], 'It must be a duration such as 30s'],
  ])('%j ends as wrong usage (2)', async (args, message) => {
    const { exit, stderr } = await migrate(['reconcile', shop.playbook, ...args])
    expect([exit, stderr]).toEqual([2, expect.stringContaining(message)])
  })
})
