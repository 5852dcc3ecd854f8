import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StoryDatabase, StoryEngine, StoryTable, TextRow } from './engine.ts'
import { type MigrateRun, story } from './migrate-process.ts'
import { type StoryHosts, startStory } from './story-hosts.ts'

/** As the founder wrote it at 08:00: the orders thought of, the users forgotten. */
const TABLES = `
  Orders: { headroom: 1500 }
  Customers: { headroom: 0 }
  Sessions: skip
references:
  - Addresses.CustomerID -> Customers.CustomerID
  - OrderLog.OrderID -> Orders.OrderID`
const STEPS = `
  - snapshot-database
  - restore-database
  - bump-identities
  - reconcile
  - report
`

/** Somebody who registered, with what is theirs. */
interface Person {
  readonly id: string
  readonly email: string
  readonly street: string
  readonly hash: string
  /** Totals of what they bought. */
  readonly totals: readonly string[]
}

async function joins(shop: StoryDatabase, who: string, totals: readonly string[]): Promise<Person> {
  const person = { email: `${who}@example.com`, street: `${who} Street 7`, hash: `bcrypt of ${who}`, totals }
  const id = await shop.register(person.email, who)
  await shop.insert('Passwords', { CustomerID: id, Hash: person.hash })
  await shop.insert('Addresses', { CustomerID: id, Street: person.street })
  for (const total of totals) await shop.order(id, total)
  return { id, ...person }
}

const ofCustomer = async (shop: StoryDatabase, table: StoryTable, id: string): Promise<readonly TextRow[]> =>
  (await shop.rows(table)).filter((row) => row.CustomerID === id)

/** Everything of a person, by whatever number the shop knows them. */
async function knownAs(shop: StoryDatabase, { email }: Person): Promise<Person | undefined> {
  const row = (await shop.rows('Customers')).find((each) => each.Email === email)
  if (row === undefined) return undefined
  const id = row.CustomerID ?? ''
  const [address] = await ofCustomer(shop, 'Addresses', id)
  const [password] = await ofCustomer(shop, 'Passwords', id)
  const totals = (await ofCustomer(shop, 'Orders', id)).map((order) => Number(order.Total).toFixed(4)).sort()
  return { id, email, street: address?.Street ?? '', hash: password?.Hash ?? '', totals }
}

const withoutId = (person: Person | undefined): Omit<Person, 'id'> | undefined => {
  if (person === undefined) return undefined
  const { id: _id, ...rest } = person
  return rest
}

/** The story of the users forgotten ("two users with the same id, mended by hand", design.md), told once for each engine. */
export function forgetTheUsers(engine: StoryEngine, skipped: string | null): void {
  const title = `the users forgotten on ${engine.name}${skipped === null ? '' : ` (skipped: ${skipped})`}`
  describe.skipIf(skipped !== null)(title, { timeout: 300_000 }, () => {
    let hosts: StoryHosts
    let run: MigrateRun
    let onOld: readonly Person[] = []
    let onNew: readonly Person[] = []
    beforeAll(async () => {
      hosts = await startStory(engine)
      for (const sql of engine.further) await hosts.old.execute(sql)
      await joins(hosts.old, 'regular', ['5.0000'])
      await hosts.write({ tables: TABLES, steps: STEPS })
      const begun = await hosts.run('run', '--yes', '--until', 'bump-identities')
      expect(begun.exit, story(begun)).toBe(0)
      onOld = [await joins(hosts.old, 'Ann', ['10.0000', '20.5000']), await joins(hosts.old, 'Ada', ['30.2500'])]
      onNew = [await joins(hosts.new, 'Bob', ['40.7500']), await joins(hosts.new, 'Bea', ['50.0000', '60.0000'])]
      expect(onOld.map(({ id }) => id)).toEqual(onNew.map(({ id }) => id))
      run = await hosts.run('run', '--yes')
    })
    afterAll(() => hosts?.stop())

    it('lets both customers of one number keep their orders, addresses and passwords', async () => {
      expect(run.exit, story(run)).toBe(0)
      for (const person of onNew) expect(await knownAs(hosts.new, person)).toEqual(person)
      for (const person of onOld) {
        const there = await knownAs(hosts.new, person)
        expect(withoutId(there)).toEqual(withoutId(person))
        expect([...onOld, ...onNew].map(({ id }) => id)).not.toContain(there?.id)
        expect(await knownAs(hosts.old, person), 'the old host is as it was').toEqual(person)
      }
    })

    it('carries every row once, and leaves none unaccounted', async () => {
      for (const table of ['Customers', 'Orders', 'OrderItems', 'Addresses', 'Passwords'] as const) {
        const [before, after] = [await hosts.old.rows(table), await hosts.new.rows(table)]
        const born = { Customers: 2, Orders: 3, OrderItems: 6, Addresses: 2, Passwords: 2 }[table]
        expect(after, table).toHaveLength(before.length + born)
      }
      const proof = run.events.findLast((event) => event.event === 'reconciled')?.proof
      expect(proof).toMatchObject({ unaccounted: 0 })
    })

    it('names both numbers: in the run, in the report and to whoever asks', async () => {
      const report = await hosts.run('report')
      const finding = run.events.find((event) => event.event === 'finding' && event.code === 'rows-remapped')
      for (const person of onOld) {
        const there = (await knownAs(hosts.new, person))?.id
        expect(finding?.message, story(run)).toMatch(new RegExp(`Customers ${person.id} is now ${there}`))
        expect(report.stdout).toMatch(new RegExp(`Customers \\| ${person.id} \\| ${there} \\|`))
        const asked = await hosts.run('reconcile', '--lookup', 'Customers', person.id)
        expect(
          asked.events.find((event) => event.event === 'lookup'),
          story(asked),
        ).toMatchObject({
          rows: expect.arrayContaining([expect.objectContaining({ became: 'remapped', oldKey: person.id, newKey: there })]),
        })
      }
    })

    it('gives the next customer of the new host a number that nobody has on either', async () => {
      const taken = (await Promise.all([hosts.old, hosts.new].map((shop) => shop.rows('Customers')))).flat()
      const next = await joins(hosts.new, 'Eve', ['70.0000'])
      expect(taken.map((row) => row.CustomerID)).not.toContain(next.id)
    })

    it('carries nothing the second time, and the late order of a renumbered customer to them', async () => {
      const again = await hosts.run('reconcile')
      expect(again.exit, story(again)).toBe(0)
      expect(again.events.filter((event) => event.event === 'change')).toEqual([])
      const [ann] = onOld
      if (ann === undefined) throw new Error('nobody joined')
      await hosts.old.order(ann.id, '99.0000')
      const late = await hosts.run('reconcile')
      expect(late.exit, story(late)).toBe(0)
      expect((await knownAs(hosts.new, ann))?.totals).toEqual([...ann.totals, '99.0000'].sort())
    })
  })
}
