import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { TestPostgres } from '../servers/postgres.ts'
import { type Ended, eventsOf, migrate } from './migrate.ts'
import { type Shop, startServer, startShop } from './shop.ts'
import { closeTerminals, inTerminal, KEYS, terminalMissing } from './terminal.ts'

let server: TestPostgres
let shop: Shop
/** What the pass said that parked the rows. */
let asked: Ended

beforeAll(async () => {
  server = await startServer('127.0.7.3')
})
afterAll(async () => {
  closeTerminals()
  await server?.stop()
})

/** A shop that was moved, and a pass that parked four rows. */
async function park(): Promise<void> {
  shop = await startShop(server)
  const run = await migrate(['run', shop.playbook, '--yes'])
  expect(run.exit, run.stdout).toBe(0)
  // Both customers are changed on both hosts; Eve registers on both with one address.
  await shop.old.sql(`update "Customers" set "Name" = "Name" || ' (old)'`)
  await shop.new.sql(`update "Customers" set "Name" = "Name" || ' (new)'`)
  await shop.old.sql(`insert into "Customers" ("Email", "Name") values ('eve@example.com', 'Eve (old)')`)
  await shop.new.sql(`insert into "Customers" ("Email", "Name") values ('eve@example.com', 'Eve (new)')`)
  await shop.old.sql(`insert into "Orders" ("CustomerID", "Total") values (3, 42)`)
  asked = await migrate(['reconcile', shop.playbook, '--yes', '--json'])
}
const close = async (): Promise<void> => shop?.close()

const names = async (): Promise<readonly unknown[]> =>
  (await shop.new.sql(`select "Name" from "Customers" order by "CustomerID"`)).flat()
const decided = (file: string) => migrate(['reconcile', shop.playbook, '--decisions', file, '--json'])

const title = (text: string): string => (terminalMissing === null ? text : `${text} (skipped: ${terminalMissing})`)

describe('rows that are parked', () => {
  beforeAll(park)
  afterAll(close)

  it('keep the pass from ending as done, with how to go on', () => {
    const { exit, stdout } = asked
    expect(exit).toBe(3)
    expect(eventsOf(stdout).at(-1)).toMatchObject({ event: 'finished', outcome: 'parked', exit: 3 })
    const finding = eventsOf(stdout).find((event) => event.code === 'rows-parked')
    expect(finding?.message).toMatch(/^4 rows are parked for you to decide: public\.Customers 1 \(/)
    expect(finding?.hint).toContain('--resolve')
  })

  it('are asked about by nobody without a terminal (3): it says how a file does it', async () => {
    const { exit, stderr } = await migrate(['reconcile', shop.playbook, '--resolve'])
    expect(exit).toBe(3)
    expect(stderr).toContain('4 rows are parked, and there is no terminal to ask in. Nothing was changed.')
    expect(stderr).toContain('- { table: "public.Customers", key: "1", take: old }')
    expect(await names()).toEqual(['Ada (new)', 'Bob (new)', 'Eve (new)'])
  })

  it('stay so by decisions in a file about rows that are not: they end as wrong usage (2), each at its place, and none is kept', async () => {
    const file = join(shop.folder, 'decide.yml')
    await writeFile(file, '- { table: Customers, key: 1, take: old }\n- { table: Orders, key: 10248, take: old }\n')
    const { exit, stdout } = await decided(file)
    expect(exit).toBe(2)
    expect(eventsOf(stdout)).toContainEqual(
      expect.objectContaining({
        event: 'failed',
        code: 'decisions-invalid',
        problems: [expect.objectContaining({ line: 2, column: 3, message: 'No row Orders 10248 is parked.' })],
      }),
    )
    expect(await names()).toEqual(['Ada (new)', 'Bob (new)', 'Eve (new)'])
    await expect(readFile(join(shop.state, 'decisions.json'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('stay so by decisions in a file that can’t be read, which are refused by name', async () => {
    const { exit, stdout } = await decided(join(shop.folder, 'nowhere.yml'))
    expect(exit).toBe(2)
    expect(eventsOf(stdout)).toContainEqual(expect.objectContaining({ event: 'failed', code: 'decisions-missing' }))
  })

  it.skipIf(terminalMissing !== null)(
    title('stay so when somebody leaves the terminal with Ctrl-C: nothing is decided (130)'),
    async () => {
      const terminal = inTerminal(['reconcile', shop.playbook, '--resolve'])
      await terminal.until('What shall hold?')
      terminal.press(KEYS.enter)
      await terminal.until('2 of 4')
      await terminal.until('What shall hold?')
      terminal.press(KEYS.interrupt)
      expect(await terminal.exit, terminal.text).toBe(130)
      expect(await names()).toEqual(['Ada (new)', 'Bob (new)', 'Eve (new)'])
      await expect(readFile(join(shop.state, 'decisions.json'))).rejects.toMatchObject({ code: 'ENOENT' })
    },
  )
})

describe('decisions in a file', () => {
  beforeEach(park)
  afterEach(close)

  it('are carried out by the pass that follows, which ends as done when nothing is parked any more', async () => {
    const file = join(shop.folder, 'decide.yml')
    await writeFile(
      file,
      '- { table: Customers, key: 1, take: old }\n- { table: customers, key: 2, take: new }\n- { table: public.Customers, key: 3, take: merge }\n',
    )
    const { exit, stdout } = await decided(file)
    expect(exit, stdout).toBe(0)
    expect(await names()).toEqual(['Ada (old)', 'Bob (new)', 'Eve (new)'])
    // The order that waited for Eve is hers, under the number that she has on the new host.
    expect(await shop.new.sql(`select "Name" from "Orders" join "Customers" using ("CustomerID") where "Total" = 42`)).toEqual([
      ['Eve (new)'],
    ])
    expect(await migrate(['reconcile', shop.playbook, '--lookup', 'Customers', '3'])).toMatchObject({
      exit: 0,
      stdout: expect.stringMatching(/Customers 3 of the old host is the same as \d{4} on the new one/),
    })
    // The same file once more: all of it is settled.
    const again = await decided(file)
    expect(again.exit, again.stdout).toBe(0)
    expect(eventsOf(again.stdout)).toContainEqual(
      expect.objectContaining({ event: 'settled', rows: ['Customers 1', 'customers 2', 'public.Customers 3'] }),
    )
  })

  it('leave the rest parked, and the command waiting (3)', async () => {
    const file = join(shop.folder, 'decide.yml')
    await writeFile(file, '- { table: Customers, key: 2, take: skip }\n- { table: Customers, key: 3, take: skip }\n')
    const { exit, stdout } = await decided(file)
    expect(exit, stdout).toBe(3)
    expect(await names()).toEqual(['Ada (new)', 'Bob (new)', 'Eve (new)'])
    expect(eventsOf(stdout).find((event) => event.code === 'rows-parked')?.message).toMatch(/^2 rows are parked/)
    // Who was left out has no number on the new host, and so none that changed.
    expect(stdout).not.toContain('rows-remapped')
    const { stdout: said } = await migrate(['reconcile', shop.playbook, '--lookup', 'Customers', '3'])
    expect(said).toMatch(
      /^public\.Customers 3 of the old host was left out, as decided \(.* UTC\): the new host stays as it is\.\n$/,
    )
  })
})

describe.skipIf(terminalMissing !== null)(title('in a terminal'), () => {
  beforeEach(park)
  afterEach(close)

  it('each parked row is shown with all versions, and what is chosen is carried out', async () => {
    const terminal = inTerminal(['reconcile', shop.playbook, '--resolve'])
    await terminal.until('public.Customers 1   1 of 4')
    expect(terminal.text).toMatch(/\n.*old host +both last had +new host\r?\n/)
    await terminal.until('≠ Name')
    await terminal.until('What shall hold?')
    terminal.press(KEYS.enter)
    await terminal.until('public.Customers 2   2 of 4')
    await terminal.until('What shall hold?')
    terminal.press(KEYS.down, KEYS.enter)
    await terminal.until('public.Customers 3   3 of 4')
    await terminal.until('Merge it into')
    terminal.press(KEYS.down, KEYS.down, KEYS.enter)
    await terminal.until('4 of 4')
    await terminal.until('Later')
    terminal.press(KEYS.down, KEYS.down, KEYS.down, KEYS.enter)
    await terminal.until('Decided: 3 of 4. 1 stays parked.')
    // The order waited for its customer only: it is carried with her.
    expect(await terminal.exit, terminal.text).toBe(0)
    expect(await names()).toEqual(['Ada (old)', 'Bob (new)', 'Eve (new)'])
  })
})
