import { beforeEach, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { ClosingPower } from '../../src/databases/closing-port.ts'
import type { Database } from '../../src/databases/port.ts'

/** A shop that writes as its account does, each time on a connection of its own unless it holds one. */
export interface ClosingShop {
  /** As the shop's own account. */
  open(): Database
  /** As one that may read and nothing else. */
  openPowerless(): Promise<Database>
  /** Inserts a row; throws what the server says. */
  buy(): Promise<void>
  /** How many rows there are. */
  bought(): Promise<number>
  /** A connection that the shop keeps, like PHP's persistent ones. */
  keep(): Promise<KeptConnection>
}

export interface KeptConnection {
  /** Inserts a row in a transaction that stays open. */
  begin(): Promise<void>
  commit(): Promise<void>
  buy(): Promise<void>
  end(): Promise<void>
}

const powerOf = (database: Database): ClosingPower => {
  if (database.closing === undefined) throw new Error('The database has no power to close.')
  return database.closing
}

async function countRows(database: Database): Promise<number> {
  let count = 0
  for (const table of (await database.schema()).tables)
    await database.read(1, async ([reader]) => {
      for await (const rows of reader.rows(table)) count += rows.length
    })
  return count
}

/** What every database that can be closed to writers keeps (closing-port.ts). */
export function databaseClosingContract(name: string, make: () => Promise<ClosingShop>): void {
  describe(`${name}: closed to writers`, () => {
    let shop: ClosingShop
    beforeEach(async () => {
      shop = await make()
    })

    it('takes no row of anybody any more, while reading goes on, until it is opened as it was', async () => {
      const database = shop.open()
      try {
        const closing = powerOf(database)
        await shop.buy()
        const { before, closed, statement } = await closing.look()
        expect(closed).toBe(false)
        expect(statement).not.toBe('')

        await closing.close(1000)
        await closing.close(1000)

        expect(await closing.look()).toMatchObject({ closed: true })
        await expect(shop.buy()).rejects.toThrow()
        expect(await shop.bought()).toBe(1)
        const schema = await database.schema()
        expect(schema.tables.length).toBeGreaterThan(0)
        // What closes it is none of the shop's.
        expect(schema.objects.filter((object) => object.kind === 'trigger')).toEqual([])
        expect(await countRows(database)).toBe(1)

        // By another process: undo comes days later.
        const later = shop.open()
        await powerOf(later).open(before)
        await powerOf(later).open(before)
        await later.close()

        expect(await closing.look()).toMatchObject({ closed: false, before })
        await shop.buy()
        expect(await shop.bought()).toBe(2)
      } finally {
        await database.close()
      }
    })

    it('takes none of those who were connected before either', async () => {
      const database = shop.open()
      const kept = await shop.keep()
      try {
        await kept.buy()
        await powerOf(database).close(1000)
        await expect(kept.buy()).rejects.toThrow()
        expect(await shop.bought()).toBe(1)
      } finally {
        await kept.end()
        await database.close()
      }
    })

    it('lets what was begun come to its end within the grace', async () => {
      const database = shop.open()
      const kept = await shop.keep()
      try {
        await kept.begin()
        const closing = powerOf(database).close(20_000)
        await kept.commit()
        await closing
        expect(await shop.bought()).toBe(1)
        await expect(shop.buy()).rejects.toThrow()
      } finally {
        await kept.end()
        await database.close()
      }
    })

    it('ends what goes on beyond the grace, or says what keeps it open and closes once that is gone', async () => {
      const database = shop.open()
      const kept = await shop.keep()
      try {
        await kept.begin()
        const refused = await powerOf(database)
          .close(0)
          .then(
            () => undefined,
            (error: unknown) => error,
          )
        if (refused !== undefined) {
          expect(refused).toBeInstanceOf(MigrateError)
          expect(refused).toMatchObject({ code: 'database-busy', retrySafe: true })
          await kept.end()
          await powerOf(database).close(0)
        }
        await kept.commit().catch(() => undefined)
        expect(await shop.bought()).toBe(0)
        await expect(shop.buy()).rejects.toThrow()
      } finally {
        await kept.end()
        await database.close()
      }
    })

    it('is asked for its rights beforehand, with the statement that grants them', async () => {
      const [database, reader] = [shop.open(), await shop.openPowerless()]
      try {
        expect(await powerOf(database).missing()).toEqual([])
        const missing = await powerOf(reader).missing()
        expect(missing.map((finding) => finding.severity)).toContain('error')
        for (const finding of missing) expect(finding.hint).toMatch(/GRANT|RESET/)
        expect((await powerOf(reader).look()).closed).toBe(false)
      } finally {
        await database.close()
        await reader.close()
      }
    })
  })
}
