import { afterEach, describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { Pool, type Pooled } from '../../src/databases/pool.ts'

const busy = (): MigrateError => new MigrateError('database-busy', 'The server has no connection left.', { retrySafe: true })

class Line implements Pooled {
  broken = false
  destroy(): void {
    this.broken = true
  }
}

/** A server that gives `room` connections; each takes a moment to come. */
class Lines extends Pool<Line> {
  room: number
  asked = 0
  given = 0

  constructor(limit: number, room: number) {
    super('test server', limit)
    this.room = room
  }

  protected override async connect(): Promise<Line> {
    this.asked += 1
    const isFull = this.given >= this.room
    if (!isFull) this.given += 1
    await new Promise((resolve) => setImmediate(resolve))
    if (isFull) throw busy()
    return new Line()
  }
}

describe('connections to a server that gives fewer than the playbook allows', () => {
  const pools: Lines[] = []
  const lines = (limit: number, room: number): Lines => {
    const made = new Lines(limit, room)
    pools.push(made)
    return made
  }
  afterEach(() => {
    for (const pool of pools.splice(0)) pool.close()
  })

  it.each([1, 2, 3])('are shared by all who want one: %i of 4', async (room) => {
    const pool = lines(4, room)
    let [now, most] = [0, 0]
    const work = async (): Promise<void> => {
      const line = await pool.acquire()
      now += 1
      most = Math.max(most, now)
      await new Promise((resolve) => setImmediate(resolve))
      now -= 1
      pool.release(line)
    }
    await Promise.all(Array.from({ length: 20 }, work))
    expect([most, pool.given]).toEqual([room, room])
    // Asking for one that isn't there again and again would be a burden of its own.
    expect(pool.asked).toBeLessThanOrEqual(8)
  })

  it('are done without by whoever can, and waited for by whoever can’t', async () => {
    const pool = lines(4, 1)
    const first = await pool.acquire()
    expect(await pool.tryAcquire()).toBeUndefined()
    const second = pool.acquire()
    pool.release(first)
    expect(await second).toBe(first)
  })

  it('are refused to all when there is none of our own to wait for', async () => {
    const pool = lines(4, 0)
    const ends = await Promise.allSettled(Array.from({ length: 6 }, () => pool.acquire()))
    expect(ends.map((end) => (end.status === 'rejected' ? end.reason.code : end.status))).toEqual(Array(6).fill('database-busy'))
    pool.room = 1
    expect(await pool.acquire()).toBeInstanceOf(Line)
  })

  it('are waited for no longer than the pool is open', async () => {
    const pool = lines(2, 1)
    await pool.acquire()
    const waiting = pool.acquire().catch((error: MigrateError) => error.code)
    await new Promise((resolve) => setImmediate(resolve))
    pool.close()
    expect(await waiting).toBe('fault')
  })
})
