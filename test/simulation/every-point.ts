import { randomInt } from 'node:crypto'
import { expect } from 'vitest'
import type { MovingWorld } from './moving-world.ts'
import { type Scenario, Simulation } from './simulate.ts'

/** Every second point is tried, one half at one time and the other at another; `MIGRATE_SIMULATION_STRIDE=1` tries them all. */
const STRIDE = Math.max(1, Number(process.env.MIGRATE_SIMULATION_STRIDE ?? 2))
const FIRST = randomInt(STRIDE)

/** A whole run is played several hundred times. */
export const PATIENCE_MS = 20 * 60_000

export async function inSimulation<T>(
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
export const unbroken = (scenario: Scenario<MovingWorld>) =>
  inSimulation(scenario, async (simulation) => {
    const start = structuredClone(simulation.state)
    const { result, points, events } = await simulation.run()
    expect(result?.outcome, JSON.stringify(events.slice(-3))).toBe('ok')
    return { start, end: structuredClone(simulation.state), points }
  })

/** Tries every point from the one at `from` on, and tells of all that went wrong, not of the first alone. */
export async function atEvery(
  points: readonly string[],
  scenario: Scenario<MovingWorld>,
  trial: (simulation: Simulation<MovingWorld>, killAt: number) => Promise<void>,
  from = 0,
): Promise<void> {
  const wrong: string[] = []
  for (const [index, point] of points.entries()) {
    if (index < from || index % STRIDE !== FIRST) continue
    await inSimulation(scenario, (simulation) => trial(simulation, index + 1)).catch((error: unknown) => {
      wrong.push(`${index + 1} (${point}): ${error instanceof Error ? error.message : String(error)}`)
    })
  }
  expect(wrong).toEqual([])
}
