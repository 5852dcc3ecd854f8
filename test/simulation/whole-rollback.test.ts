import { describe, expect, it, vi } from 'vitest'
import { atEvery, PATIENCE_MS, unbroken } from './every-point.ts'
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

describe('the rollback of the whole playbook over fakes', () => {
  const still = wholeRun({ customers: false, bury })

  it(
    'killed at any point, is rolled back to the world as it was',
    async () => {
      const { start, run } = await unbroken(still)
      await atEvery(run, still, async (simulation, killAt) => {
        await simulation.run(killAt)
        const { result, events } = await simulation.rollback()
        expect(result?.outcome, JSON.stringify(events.findLast((event) => event.event === 'failed'))).toBe('ok')
        expect(simulation.state).toEqual(start)
      })
    },
    PATIENCE_MS,
  )
})
