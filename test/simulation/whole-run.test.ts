import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { GOING_BACK_KEY, goingBackOf } from '../../src/run/going-back.ts'
import { readHistory } from '../../src/run/state.ts'
import { readEntries } from '../run/entries.ts'
import { atEvery, inSimulation, PATIENCE_MS, unbroken } from './every-point.ts'
import { type MovingWorld, wholeRun } from './moving-world.ts'
import type { Simulation } from './simulate.ts'

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
      const { end, run } = await unbroken(moving)
      await atEvery(run, moving, async (simulation, killAt) => {
        expect((await simulation.run(killAt)).result).toBeUndefined()
        const { result, events } = await simulation.run()
        expect(result?.outcome, JSON.stringify(events.findLast((event) => event.event === 'failed'))).toBe('ok')
        expect(simulation.state).toEqual(end)
      })
    },
    PATIENCE_MS,
  )

  it(
    'with a new host that fails, killed anywhere from the cutover on, decides once to go back, and a rollback sends customers there',
    async () => {
      const failing = wholeRun({ customers: true, bury, failing: true })
      const run = await inSimulation(failing, (simulation) => simulation.run())
      const { points } = run
      const cutover = points.lastIndexOf('after apply')
      expect(cutover).toBeGreaterThan(0)
      expect(points.length - cutover).toBeGreaterThan(10)
      const trial = async (simulation: Simulation<MovingWorld>, killAt: number): Promise<void> => {
        await simulation.run(killAt)
        const { result, events } = await simulation.run()
        expect(result?.outcome).toBe('failed')
        expect(events.findLast((event) => event.event === 'failed')).toMatchObject({ code: 'failback' })
        const directory = join(simulation.directory, 'state')
        expect(goingBackOf((await readHistory(directory)).history)).toMatchObject({ decision: 'back', by: 'guard' })
        const records = ((await readEntries(directory)) ?? []).map(({ record }) => record)
        expect(records.filter((record) => 'key' in record && record.key === GOING_BACK_KEY)).toHaveLength(1)
        // The tables, in which customers have bought, stay; where customers are sent comes first.
        await simulation.rollback()
        expect(JSON.stringify(simulation.world.zone.records)).toContain('203.0.113.10')
      }
      await atEvery(run, failing, trial, cutover)
    },
    PATIENCE_MS,
  )
})
