import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestPostgres } from '../servers/postgres.ts'
import { eventsOf, migrate } from './migrate.ts'
import { type Shop, startServer, startShop } from './shop.ts'

let server: TestPostgres
let shop: Shop

const lookup = (table: string, key: string, ...more: readonly string[]) =>
  migrate(['reconcile', shop.playbook, '--lookup', table, key, ...more])
const said = async (table: string, key: string): Promise<string> => (await lookup(table, key)).stdout

beforeAll(async () => {
  server = await startServer('127.0.7.2')
  shop = await startShop(server, 'tables: { Sessions: copy-only, Visits: skip }')
  const run = await migrate(['run', shop.playbook, '--yes'])
  expect(run.exit, run.stdout).toBe(0)
  // A late order on the old host, one changed there, one on the new host, and a customer whom both hosts changed.
  await shop.old.sql(`insert into "Orders" ("CustomerID", "Total") values (1, 99)`)
  await shop.old.sql(`update "Orders" set "Status" = 'paid' where "OrderID" = 10249`)
  await shop.old.sql(`insert into "OrderItems" values (10251, 1, 5)`)
  await shop.old.sql(`update "Customers" set "Name" = 'Bob (old)' where "CustomerID" = 2`)
  await shop.new.sql(`update "Customers" set "Name" = 'Bob (new)' where "CustomerID" = 2`)
  await shop.new.sql(`insert into "Orders" ("OrderID", "CustomerID", "Total") values (20000, 1, 5)`)
})
afterAll(async () => {
  await shop?.close()
  await server?.stop()
})

describe('a lookup before the pass', () => {
  it('says what is still to be carried', async () => {
    expect(await said('Orders', '10251')).toBe(
      `public.Orders 10251 is on the old host alone: it hasn't been carried over yet.\n→ migrate reconcile ${shop.playbook}  carries it.\n`,
    )
    expect(await said('orders', '10249')).toContain("10249 isn't the same on both hosts")
  })
})

describe('a lookup after the pass', () => {
  beforeAll(async () => {
    expect((await migrate(['reconcile', shop.playbook, '--yes'])).exit).toBe(3)
  })

  it.each([
    ['Orders', '10251', 'public.Orders 10251 was carried over from the old host with the same number ('],
    ['orderitems', '10251,1', 'public.OrderItems 10251, 1 was carried over from the old host with the same number ('],
    ['public.Orders', '10249', 'public.Orders 10249 stands on both hosts; what the old host changed was carried over ('],
    ['Orders', '10248', 'public.Orders 10248 is the same on both hosts'],
    ['Orders', '0010248', 'public.Orders 10248 is the same on both hosts'],
    ['Orders', '20000', 'public.Orders 20000 of the new host is a row of its own there'],
    ['Customers', '2', 'public.Customers 2 is parked for you to decide: '],
    ['Sessions', 's1', 'by the playbook (copy-only) the table isn'],
  ])('of %s %s says what became of it', async (table, key, expected) => {
    const { exit, stdout } = await lookup(table, key)
    expect([exit, stdout]).toEqual([0, expect.stringContaining(expected)])
  })

  it('has it as one event with --json, before the last', async () => {
    const { stdout } = await lookup('Orders', '10251', '--json')
    expect(eventsOf(stdout)).toMatchObject([
      {
        event: 'lookup',
        run: expect.stringMatching(/^\d{8}-/),
        table: 'public.Orders',
        key: '10251',
        rows: [{ oldKey: '10251', newKey: '10251', became: 'carried', at: expect.stringMatching(/^\d{4}-.*Z$/) }],
      },
      { event: 'finished', outcome: 'ok', exit: 0 },
    ])
  })

  it('says when a carried row has been deleted on the new host since', async () => {
    await shop.new.sql(`delete from "OrderItems" where "OrderID" = 10251`)
    expect(await said('OrderItems', '10251, 1')).toContain('It has been deleted on the new host since.')
  })

  it('knows of no such row (1)', async () => {
    const { exit, stdout } = await lookup('Orders', '-7')
    expect([exit, stdout]).toEqual([1, 'Neither host has a row public.Orders -7, and the ledger knows of none.\n'])
    expect(eventsOf((await lookup('Orders', '5', '--json')).stdout)).toMatchObject([
      { event: 'lookup', rows: [] },
      { event: 'finished', exit: 1 },
    ])
  })

  it.each([
    ['Ordres', '1', 'The new database has no table Ordres.', 'Did you mean Orders?'],
    ['Orders', 'first', 'first is no key of public.Orders.', 'The server said'],
    ['Orders', '1,2', '1,2 is no key of public.Orders.', ''],
    ['OrderItems', '10251', '10251 is no key of public.OrderItems.', 'OrderID, Line'],
    ['Visits', '1', 'public.Visits has no key', 'report'],
  ])('of %s %s ends as wrong usage (2)', async (table, key, message, hint) => {
    const { exit, stderr } = await lookup(table, key)
    expect([exit, stderr]).toEqual([2, expect.stringContaining(message)])
    expect(stderr).toContain(hint)
  })

  it('still answers when the old host is gone', async () => {
    await shop.new.superuserSql(`alter database "${shop.old.name}" with allow_connections false`)
    try {
      expect(await said('Orders', '10251')).toMatch(/10251 was carried over .*\nThe old host couldn't be asked: /)
      expect(await said('Orders', '10248')).toContain('10248 is on the new host, and the ledger has no entry for it')
    } finally {
      await shop.new.superuserSql(`alter database "${shop.old.name}" with allow_connections true`)
    }
  })
})

describe('options that say nothing together', () => {
  it.each([
    [['--lookup', 'Orders'], '--lookup Orders says no row'],
    [['--lookup', 'Orders', '1', '--dry-run'], "--dry-run and --lookup don't go together"],
    [['10251'], '10251 is one argument too many'],
    [['--resolve', '--decisions', 'x.yml'], "--resolve and --decisions don't go together"],
  ])('%j ends as wrong usage (2)', async (args, message) => {
    const { exit, stderr } = await migrate(['reconcile', shop.playbook, ...args])
    expect([exit, stderr]).toEqual([2, expect.stringContaining(message)])
  })

  it('a lookup without any run says so', async () => {
    const { exit, stderr } = await lookup('Orders', '1', '--state', `${shop.folder}/nowhere`)
    expect([exit, stderr]).toEqual([2, expect.stringContaining('There is no run of shop yet')])
  })
})

describe('a number that both hosts gave', () => {
  let double: Shop
  beforeAll(async () => {
    double = await startShop(server, 'tables: { Sessions: skip, Visits: skip, Orders: { sums: [Total] } }')
    expect((await migrate(['run', double.playbook, '--yes'])).exit).toBe(0)
    await double.old.sql(`insert into "Orders" ("CustomerID", "Total") values (1, 1), (2, 2)`)
    await double.old.sql(`insert into "OrderItems" values (10252, 1, 7)`)
    await double.new.sql(`insert into "Orders" ("OrderID", "CustomerID", "Total") values (10252, 1, 99)`)
  })
  afterAll(() => double?.close())

  const newNumber = async (): Promise<string> =>
    String((await double.new.sql(`select "OrderID" from "Orders" where "Total" = 2`)).flat()[0])

  it('is planned as such in a dry run, whole in the events', async () => {
    const { exit, stdout } = await migrate(['reconcile', double.playbook, '--dry-run', '--json'])
    expect(exit).toBe(0)
    const planned = eventsOf(stdout).filter((event) => event.event === 'change')
    expect(JSON.stringify(planned)).toContain('"action":"remap"')
    expect(planned).toContainEqual(expect.objectContaining({ phase: 'planned', summary: expect.stringContaining('10252') }))
    expect(await double.new.sql(`select count(*) from "Orders"`)).toEqual([['4']])
  })

  it('is shown with both numbers, when it is carried, in the report and in a lookup of either', async () => {
    const run = await migrate(['reconcile', double.playbook, '--yes'])
    expect(run.exit, run.stdout).toBe(0)
    const number = await newNumber()
    expect(run.stdout).toContain(`public.Orders 10252 is now ${number},`)
    expect(await double.new.sql(`select "Quantity" from "OrderItems" where "OrderID" = ${number}`)).toEqual([['7']])

    const ask = async (key: string): Promise<string> =>
      (await migrate(['reconcile', double.playbook, '--lookup', 'orders', key])).stdout
    expect(await ask('10252')).toMatch(
      new RegExp(
        `^public\\.Orders 10252 of the old host is now ${number} on the new one \\(.* UTC\\): .*\\npublic\\.Orders 10252 of the new host is a row of its own there`,
      ),
    )
    expect(await ask(number)).toMatch(new RegExp(`^public\\.Orders 10252 of the old host is now ${number} on the new one .*\\n$`))

    const report = await migrate(['report', double.playbook])
    expect(report.stdout).toContain(`| public.Orders | 10252 | ${number} |`)
    expect(report.stdout).toMatch(/\| public\.Orders \| 5 \| 3 \| 1 \| 0 \| 0 \| 1 \| 0 \| 0 \| 0 \| 0 \| 0 \|/)
    expect(report.stdout).toContain('| public.Orders.Total | 35.4900 | 134.4900 | +99.0000 born on new |')
    expect(report.stdout).toMatch(/\| public\.Orders \| 6 \| 3 \| 2 \| 0 \| 1 \| 0 \| 0 \|/)
  })

  it('is nothing to be done the second time', async () => {
    const { exit, stdout } = await migrate(['reconcile', double.playbook, '--dry-run'])
    expect([exit, stdout]).toEqual([0, expect.stringContaining('Nothing is to be carried.')])
    expect(stdout).toContain("every one of the old host's 10 rows is accounted for")
  })
})
