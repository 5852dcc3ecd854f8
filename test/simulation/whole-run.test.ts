import { describe, expect, it } from 'vitest'
import type { Json } from '../../src/base/json.ts'
import { type MovingWorld, wholeRun } from './moving-world.ts'
import { type Scenario, Simulation } from './simulate.ts'

const MINUTES = 60_000

async function inSimulation<T>(
  scenario: Scenario<MovingWorld>,
  work: (simulation: Simulation<MovingWorld>) => Promise<T>,
): Promise<T> {
  const simulation = await Simulation.begin(scenario)
  try {
    return await work(simulation)
  } finally {
    await simulation.end()
  }
}

/** The world before and after an unbroken run, and the points at which it may be killed. */
const unbroken = (scenario: Scenario<MovingWorld>) =>
  inSimulation(scenario, async (simulation) => {
    const start = structuredClone(simulation.state)
    const { result, points, events } = await simulation.run()
    expect(result?.outcome, JSON.stringify(events.slice(-3))).toBe('ok')
    return { start, end: structuredClone(simulation.state), points }
  })

/** Tries every point, and tells of all that went wrong, not of the first alone. */
async function atEvery(
  points: readonly string[],
  scenario: Scenario<MovingWorld>,
  trial: (simulation: Simulation<MovingWorld>, killAt: number) => Promise<void>,
): Promise<void> {
  const wrong: string[] = []
  for (const [index, point] of points.entries()) {
    await inSimulation(scenario, (simulation) => trial(simulation, index + 1)).catch((error: unknown) => {
      wrong.push(`${index + 1} (${point}): ${error instanceof Error ? error.message : String(error)}`)
    })
  }
  expect(wrong).toEqual([])
}

describe('the whole playbook over fakes', () => {
  const moving = wholeRun({ customers: true })
  const still = wholeRun({ customers: false })

  it('has nothing left to do when it is run again', async () => {
    await inSimulation(moving, async (simulation) => {
      expect((await simulation.run()).result?.outcome).toBe('ok')
      const end: Json = structuredClone(simulation.state)
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
    20 * MINUTES,
  )

  it(
    'killed at any point, is rolled back to the world as it was',
    async () => {
      const { start, points } = await unbroken(still)
      await atEvery(points, still, async (simulation, killAt) => {
        await simulation.run(killAt)
        const { result, events } = await simulation.rollback()
        expect(result?.outcome, JSON.stringify(events.findLast((event) => event.event === 'failed'))).toBe('ok')
        expect(simulation.state).toEqual(start)
      })
    },
    20 * MINUTES,
  )
})
