import { describe, expect, it, vi } from 'vitest'
import { atEvery, inSimulation, PATIENCE_MS, unbroken } from './every-point.ts'
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

describe('the whole playbook over fakes', () => {
  const moving = wholeRun({ customers: true, bury })

  it('has nothing left to do when it is run again', async () => {
    await inSimulation(moving, async (simulation) => {
      expect((await simulation.run()).result?.outcome).toBe('ok')
      const end = structuredClone(simulation.state)
      const { events } = await simulation.run()
      expect(events.filter((event) => event.event === 'change')).toEqual([])
      expect(simulation.state).toEqual(end)
    })
  })

  it(
    'killed before and after every line of its journal and every effect, resumes to the end of an unbroken run',
    async () => {
      const { end, points } = await unbroken(moving)
      await atEvery(points, moving, async (simulation, killAt) => {
        expect((await simulation.run(killAt)).result).toBeUndefined()
        const { result, events } = await simulation.run()
        expect(result?.outcome, JSON.stringify(events.findLast((event) => event.event === 'failed'))).toBe('ok')
        expect(simulation.state).toEqual(end)
      })
    },
    PATIENCE_MS,
  )
})
