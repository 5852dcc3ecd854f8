import { randomInt } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import { inSimulation, PATIENCE_MS, unbroken } from './every-point.ts'
import { wholeRun } from './moving-world.ts'

/** SQLite files that are open: those of a dead process must be closed for it, or they stay locked. */
const opened = vi.hoisted(() => new Set<{ close(): void }>())
vi.mock('node:sqlite', async (original) => {
  const real = await original<typeof import('node:sqlite')>()
  class DatabaseSync extends real.DatabaseSync {
    constructor(...args: ConstructorParameters<typeof real.DatabaseSync>) {
      super(...args)
      opened.add(this)
    }
    override close(): void {
      opened.delete(this)
      super.close()
    }
  }
  return { ...real, DatabaseSync }
})
const bury = (): void => {
  for (const database of opened) database.close()
}

/**
 * Points before and after a move of which every second one is tried, one half at one time and the other at another: right after one effect is
 * nearly right before the next. The lines of the journal about it are among them.
 */
const AROUND = 10

describe('the whole playbook with a headroom that runs out', () => {
  const moving = wholeRun({ customers: true, bury, orders: { headroom: 2 } })

  it(
    'moves the old host past the new one, then the new one past the old, and killed around either resumes to the same end',
    async () => {
      const { end, run } = await unbroken(moving)
      const { points } = run
      const moves = points.flatMap((name, at) => (name === 'before raiseIdentity' ? [at] : [])).slice(-2)
      expect(moves).toHaveLength(2)
      const first = randomInt(2)
      const tried = new Set(moves.flatMap((at) => Array.from({ length: AROUND }, (_, near) => at - AROUND + 2 * near + first)))
      for (const at of tried) {
        await inSimulation(moving, async (simulation) => {
          const where = `${at + 1}: ${points[at]}`
          expect((await simulation.run(at + 1)).result, where).toBeUndefined()
          const { result, events } = await simulation.run()
          expect(result?.outcome, `${where} ${JSON.stringify(events.slice(-3))}`).toBe('ok')
          expect(simulation.state, where).toEqual(end)
        })
      }
    },
    PATIENCE_MS,
  )

  it('gives each of all the orders a number of its own, and has nothing left to do', async () => {
    await inSimulation(moving, async (simulation) => {
      const { events } = await simulation.run()
      const codes = events.flatMap((event) => (event.event === 'finding' ? [event.code] : []))
      expect(codes.filter((code) => code === 'identity-leapt')).toHaveLength(1)
      expect(codes).not.toContain('headroom-used-up')
      const { world } = simulation
      const [old, fresh] = [await world.oldShop.rows('orders'), await world.newShop.rows('orders')]
      expect(new Set(fresh.map(({ id }) => id)).size).toBe(6)
      expect(old.every(({ id }) => fresh.some((row) => row.id === id))).toBe(true)
      const again = await simulation.run()
      expect(again.events.filter((event) => event.event === 'change')).toEqual([])
    })
  })
})
