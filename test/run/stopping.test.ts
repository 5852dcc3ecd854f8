import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { runSequence } from '../../src/run/runner.ts'
import type { Step, StepRun } from '../../src/run/step.ts'
import { putStep, runOver, Shelf, storyOf } from './shelf.ts'

describe('steps side by side', () => {
  it('are stopped by the first that fails, all are awaited, and the others are reported', async () => {
    const shelf = new Shelf()
    const waits = putStep(shelf, {
      id: 'slow',
      puts: { a: '1' },
      before: (_change, run) => run.clock.sleep(3_600_000, run.signal),
    })
    const fails = putStep(shelf, {
      id: 'broken',
      puts: { b: '2' },
      before: async (_change, run) => {
        await run.clock.sleep(1000, run.signal)
        throw new MigrateError('no-room', 'disk full', { hint: 'Make room.' })
      },
    })
    const { events, options } = await runOver([[waits, fails], [putStep(shelf, { id: 'later', puts: { c: '3' } })]])

    const result = await runSequence(options)

    expect(result).toMatchObject({ outcome: 'failed', exit: 1, seconds: 1 })
    expect(storyOf(events).slice(-3)).toEqual(['failed broken no-room', 'failed slow stopped', 'finished failed 1'])
    expect(shelf.writes).toEqual([])
  })

  it('wait for one that needs a person, and then the run waits', async () => {
    const shelf = new Shelf()
    const asks = putStep(shelf, {
      id: 'asks',
      puts: { a: '1' },
      before: async (_change, run) => {
        await run.confirm('Really?')
      },
    })
    const works = putStep(shelf, { id: 'works', puts: { b: '2' }, before: (_change, run) => run.clock.sleep(60_000, run.signal) })
    const { events, options } = await runOver([[asks, works]])

    expect(await runSequence(options)).toMatchObject({ outcome: 'waiting', exit: 3 })
    expect(storyOf(events)).toContain('waiting asks')
    expect(shelf.contents).toEqual({ b: '2' })
    expect(await runSequence({ ...options, yes: true })).toMatchObject({ outcome: 'ok' })
    expect(shelf.contents).toEqual({ a: '1', b: '2' })
  })

  it('apply as many changes at once as the step allows', async () => {
    const shelf = new Shelf()
    let running = 0
    let most = 0
    const step = putStep(shelf, {
      id: 'many',
      parallel: 3,
      puts: { a: '1', b: '2', c: '3', d: '4', e: '5' },
      before: async (_change, run) => {
        running += 1
        most = Math.max(most, running)
        await run.clock.sleep(1000, run.signal)
        running -= 1
      },
    })
    const { options } = await runOver([[step]])

    expect(await runSequence(options)).toMatchObject({ outcome: 'ok', seconds: 2 })
    expect(most).toBe(3)
  })
})

describe('trying again', () => {
  const failing = (shelf: Shelf, times: number, error: () => Error, tries: number[]) =>
    putStep(shelf, {
      id: 'shaky',
      puts: { a: '1' },
      before: async (_change, run) => {
        tries.push(run.clock.now())
        if (tries.length <= times) throw error()
      },
    })

  it('happens with growing pauses where the one who failed says that it is safe', async () => {
    const shelf = new Shelf()
    const tries: number[] = []
    const { options } = await runOver([[failing(shelf, 5, () => new MigrateError('cut', 'cut', { retrySafe: true }), tries)]])

    expect(await runSequence(options)).toMatchObject({ outcome: 'ok', seconds: 1 + 2 + 4 + 8 + 16 })
    expect(tries).toHaveLength(6)
  })

  it.each(['plan', 'verify'] as const)('happens as well where a step asks the world: %s', async (asks) => {
    const step = putStep(new Shelf(), { id: 'asking', puts: { a: '1' } })
    let tries = 0
    const failsTwice: Step = {
      ...step,
      [asks]: async (run: StepRun) => {
        tries += 1
        if (tries <= 2) throw new MigrateError('ended', 'A watchdog ended it.', { retrySafe: true })
        return await step[asks](run)
      },
    }
    const { events, options } = await runOver([[failsTwice]])

    expect(await runSequence(options)).toMatchObject({ outcome: 'ok', seconds: 1 + 2 })
    expect(tries).toBe(3)
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'note', message: 'A watchdog ended it. Trying again in 2 s (2 of 5).' }),
    )
  })

  it('ends after five times', async () => {
    const tries: number[] = []
    const { events, options } = await runOver([
      [failing(new Shelf(), 99, () => new MigrateError('cut', 'cut', { retrySafe: true }), tries)],
    ])

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed' })
    expect(tries).toHaveLength(6)
    expect(storyOf(events)).toContain('failed shaky cut')
  })

  it.each([
    ['an error that says nothing of it', () => new MigrateError('cut', 'cut')],
    ['any other error', () => new Error('cut')],
    ['a fault in the program', () => new TypeError('cut')],
  ])('does not happen for %s', async (_name, error) => {
    const tries: number[] = []
    const { options } = await runOver([[failing(new Shelf(), 99, error, tries)]])

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed', exit: 1 })
    expect(tries).toHaveLength(1)
  })

  it('a step that takes longer than its timeout is stopped', async () => {
    const shelf = new Shelf()
    const slow = putStep(shelf, {
      id: 'slow',
      timeoutMs: 60_000,
      puts: { a: '1' },
      before: (_change, run) => run.clock.sleep(600_000, run.signal),
    })
    const { events, options } = await runOver([[slow]])

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed', seconds: 60 })
    expect(storyOf(events)).toContain('failed slow step-timed-out')
    expect(shelf.writes).toEqual([])
  })

  it('a step that does not even listen is given up after a grace', async () => {
    const deaf = putStep(new Shelf(), {
      id: 'deaf',
      timeoutMs: 60_000,
      puts: { a: '1' },
      before: (_change, run) => run.clock.sleep(86_400_000),
    })
    const { events, options } = await runOver([[deaf]])

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed' })
    // The step's own time: while the run's end is written to disk, the clock may go on to where the deaf one sleeps.
    const failed = events.find((event) => event.event === 'failed')
    expect(failed).toMatchObject({ step: 'deaf', code: 'step-timed-out', seconds: 90 })
  })
})

describe('an interrupt', () => {
  const interrupted = async (phase: 'prepare' | 'cutover' | 'settle', twice = false) => {
    const shelf = new Shelf()
    const interrupt = new AbortController()
    const abort = new AbortController()
    const step = putStep(shelf, {
      id: 'work',
      phase,
      puts: { a: '1', b: '2' },
      before: async (_change, run) => {
        interrupt.abort()
        if (twice) abort.abort()
        await run.clock.sleep(60_000, run.signal)
      },
    })
    const told = await runOver([[step], [putStep(shelf, { id: 'later', puts: { c: '3' } })]], {
      interrupt: interrupt.signal,
      abort: abort.signal,
    })
    return { shelf, told, result: await runSequence(told.options) }
  }

  it('stops a preparation at once', async () => {
    const { shelf, result, told } = await interrupted('prepare')

    expect(result).toMatchObject({ outcome: 'interrupted', exit: 130, seconds: 0 })
    expect(shelf.contents).toEqual({})
    expect(storyOf(told.events)).toContain('failed work interrupted')
  })

  it('stops a watch that would go on for hours at once', async () => {
    const { shelf, result } = await interrupted('settle')

    expect(result).toMatchObject({ outcome: 'interrupted', exit: 130, seconds: 0 })
    expect(shelf.contents).toEqual({})
  })

  it('lets the cutover finish the change in hand, and begins no other', async () => {
    const { shelf, result } = await interrupted('cutover')

    expect(result).toMatchObject({ outcome: 'interrupted', exit: 130, seconds: 60 })
    expect(shelf.contents).toEqual({ a: '1' })
  })

  it('given twice waits for nothing', async () => {
    const { shelf, result } = await interrupted('cutover', true)

    expect(result).toMatchObject({ outcome: 'interrupted', exit: 130, seconds: 0 })
    expect(shelf.contents).toEqual({})
  })

  it('leaves a run that goes on where it stopped', async () => {
    const { shelf, told } = await interrupted('cutover')
    const { interrupt: _, abort: __, ...options } = told.options

    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(shelf.contents).toEqual({ a: '1', b: '2', c: '3' })
    expect(shelf.writes).toEqual(['a=1', 'b=2', 'c=3'])
  })
})
