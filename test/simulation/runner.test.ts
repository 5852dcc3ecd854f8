import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { MigrateError } from '../../src/base/errors.ts'
import type { Sequence, Step } from '../../src/run/step.ts'
import { putStep, Shelf } from '../run/shelf.ts'
import type { Life } from './life.ts'
import { type Scenario, Simulation } from './simulate.ts'

/** A step whose effect the world can't be asked about: the journal is, and the run's memory keeps a cursor. */
function countingStep(shelf: Shelf, life: Life): Step {
  return {
    id: 'count',
    title: 'Count to three',
    phase: 'settle',
    change: z.number(),
    check: async () => [],
    plan: async (run) => {
      return [1, 2, 3].filter((each) => run.history(each) !== 'applied')
    },
    apply: async (change, run) => {
      await life.effects('count', () => shelf.put('count', String(change)))
      await run.remember('count', change)
    },
    verify: async (run) =>
      (await shelf.read('count')) === '3' && run.recall('count') === 3
        ? []
        : [{ severity: 'error', code: 'miscounted', message: 'not three' }],
    undo: async (change, run) => {
      const before = Number(change) - 1
      await life.effects('count back', () => shelf.put('count', before === 0 ? null : String(before)))
      await run.remember('count', before)
    },
    describe: (change) => `count ${String(change)}`,
  }
}

const puts = new Set(['put'])

const scenario: Scenario<Shelf> = {
  build: async () => {
    const shelf = new Shelf()
    shelf.values.set('config', 'old host')
    return shelf
  },
  sequence: (world, life): Sequence => {
    const shelf = life.guard(world, puts)
    let failures = 1
    const shaky = putStep(shelf, {
      id: 'shaky',
      puts: { x: '1' },
      before: async () => {
        failures -= 1
        if (failures >= 0) throw new MigrateError('cut', 'connection lost', { retrySafe: true })
      },
    })
    return [
      [putStep(shelf, { id: 'first', puts: { a: '1', b: '2' } })],
      [putStep(shelf, { id: 'many', parallel: 2, puts: { m1: '1', m2: '2', m3: '3' } }), shaky],
      [putStep(shelf, { id: 'move', phase: 'cutover', puts: { config: 'new host', dns: 'moved' } })],
      [countingStep(shelf, life)],
    ]
  },
  state: (world) => world.contents,
}

async function inSimulation<T>(work: (simulation: Simulation<Shelf>) => Promise<T>): Promise<T> {
  const simulation = await Simulation.begin(scenario)
  try {
    return await work(simulation)
  } finally {
    await simulation.end()
  }
}

const END = { a: '1', b: '2', config: 'new host', count: '3', dns: 'moved', m1: '1', m2: '2', m3: '3', x: '1' }
const START = { config: 'old host' }

const unbroken = () =>
  inSimulation(async (simulation) => {
    const { result, points } = await simulation.run()
    expect(result?.outcome).toBe('ok')
    expect(simulation.state).toEqual(END)
    return points
  })

describe('a runner killed at any point', () => {
  it('resumes to the end of an unbroken run', async () => {
    const points = await unbroken()
    expect(points.length).toBeGreaterThan(80)
    for (let at = 1; at <= points.length; at += 1) {
      await inSimulation(async (simulation) => {
        expect((await simulation.run(at)).result, `${at}: ${points[at - 1]}`).toBeUndefined()
        const { result, events } = await simulation.run()
        expect(result?.outcome, `${at}: ${points[at - 1]} ${JSON.stringify(events.slice(-3))}`).toBe('ok')
        expect(simulation.state, `${at}: ${points[at - 1]}`).toEqual(END)
      })
    }
  })

  it('resumes after being killed again and again', async () => {
    for (let step = 3; step <= 17; step += 2) {
      await inSimulation(async (simulation) => {
        let killed = 0
        while ((await simulation.run(step + killed)).result === undefined) killed += 1
        expect(killed).toBeGreaterThan(2)
        expect(simulation.state).toEqual(END)
      })
    }
  })

  it('is rolled back to the starting state', async () => {
    const points = await unbroken()
    for (let at = 1; at <= points.length; at += 1) {
      await inSimulation(async (simulation) => {
        await simulation.run(at)
        const { result, events } = await simulation.rollback()
        expect(result?.outcome, `${at}: ${points[at - 1]} ${JSON.stringify(events.slice(-3))}`).toBe('ok')
        expect(simulation.state, `${at}: ${points[at - 1]}`).toEqual(START)
      })
    }
  })

  it('is rolled back even when the rollback itself is killed at any point', async () => {
    const points = await inSimulation(async (simulation) => {
      await simulation.run()
      return (await simulation.rollback()).points
    })
    for (let at = 1; at <= points.length; at += 1) {
      await inSimulation(async (simulation) => {
        await simulation.run()
        expect((await simulation.rollback(at)).result).toBeUndefined()
        expect((await simulation.rollback()).result?.outcome, `${at}: ${points[at - 1]}`).toBe('ok')
        expect(simulation.state, `${at}: ${points[at - 1]}`).toEqual(START)
      })
    }
  })

  it('goes forward again after a rollback that was killed', async () => {
    for (const at of [5, 6, 7, 8, 9, 10, 14, 15, 20, 21, 22]) {
      await inSimulation(async (simulation) => {
        await simulation.run()
        await simulation.rollback(at)
        const { result } = await simulation.run()
        expect(result?.outcome).toBe('ok')
        expect(simulation.state).toEqual(END)
      })
    }
  })
})
