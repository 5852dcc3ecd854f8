import { randomInt } from 'node:crypto'
import { expect } from 'vitest'
import type { MovingWorld } from './moving-world.ts'
import { type Process, type Scenario, Simulation } from './simulate.ts'

/** `MIGRATE_SIMULATION_EVERY=1` tries every single point, however much it is like others. */
const EVERY = process.env.MIGRATE_SIMULATION_EVERY === '1'
/** As many points before one tell what it is like. */
const BEFORE = 1

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

/** The world before and after an unbroken run, and the run, with the points at which it may be killed. */
export const unbroken = (scenario: Scenario<MovingWorld>) =>
  inSimulation(scenario, async (simulation) => {
    const start = structuredClone(simulation.state)
    const run = await simulation.run()
    expect(run.result?.outcome, JSON.stringify(run.events.slice(-3))).toBe('ok')
    return { start, end: structuredClone(simulation.state), run }
  })

/** Tries the points of a run from the one at `from` on, and tells of all that went wrong, not of the first alone. */
export async function atEvery(
  { points, steps }: Pick<Process, 'points' | 'steps'>,
  scenario: Scenario<MovingWorld>,
  trial: (simulation: Simulation<MovingWorld>, killAt: number) => Promise<void>,
  from = 0,
): Promise<void> {
  const wrong: string[] = []
  for (const index of tried(points, steps, from)) {
    await inSimulation(scenario, (simulation) => trial(simulation, index + 1)).catch((error: unknown) => {
      wrong.push(`${index + 1} (${points[index]}): ${error instanceof Error ? error.message : String(error)}`)
    })
  }
  expect(wrong).toEqual([])
}

/**
 * One by chance of the points that are alike: of the same step, with the same effects before them. A step does the same to one table after
 * the other. Between an effect and the next there is little: one of the two, by chance, is tried.
 */
function tried(points: readonly string[], steps: readonly string[], from: number): readonly number[] {
  const all = points.keys().filter((index) => index >= from)
  if (EVERY) return [...all]
  const follows = (index: number): boolean =>
    index > from && points[index]?.startsWith('before ') === true && points[index - 1]?.startsWith('after ') === true
  const alike = Map.groupBy(
    all.filter((index) => !follows(index)),
    (index) => [steps[index], ...points.slice(Math.max(0, index - BEFORE), index + 1)].join('\n'),
  )
  const chosen = [...alike.values()].map((group) => group[randomInt(group.length)] ?? from)
  return chosen.map((index) => (follows(index + 1) ? index + randomInt(2) : index)).sort((a, b) => a - b)
}
