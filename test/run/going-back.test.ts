import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { RunEnding } from '../../src/run/failures.ts'
import { GOING_BACK_KEY } from '../../src/run/going-back.ts'
import { runSequence } from '../../src/run/runner.ts'
import { readStatus } from '../../src/run/status.ts'
import type { StepRun } from '../../src/run/step.ts'
import { rollback } from '../../src/run/undo.ts'
import { putStep, runOver, Shelf, storyOf } from './shelf.ts'

const watching = (shelf: Shelf) =>
  putStep(shelf, {
    id: 'watch',
    phase: 'settle',
    puts: { watched: '1' },
    before: async (_change, run) => await run.clock.sleep(3_600_000, run.signal),
  })
const deciding = (shelf: Shelf, decide: (run: StepRun) => Promise<void>) =>
  putStep(shelf, { id: 'guard', phase: 'settle', puts: { guarded: '1' }, before: async (_change, run) => await decide(run) })

describe('a step that ends the run', () => {
  it('stops what works beside it, though it only waits for a person, and what follows isn’t begun', async () => {
    const shelf = new Shelf()
    const ends = deciding(shelf, async () => {
      throw new RunEnding('offered', 'Go back?', { ending: 'waiting', hint: 'Say so.' })
    })
    const { events, options } = await runOver([[watching(shelf), ends], [putStep(shelf, { id: 'next', puts: { b: '1' } })]])
    expect(await runSequence(options)).toMatchObject({ outcome: 'waiting', exit: 3 })
    expect(storyOf(events)).toEqual(expect.arrayContaining(['failed watch stopped', 'waiting guard']))
    expect(shelf.writes).toEqual([])
    // One that only waits lets the other come to its end.
    const patient = deciding(shelf, async () => {
      throw new MigrateError('not-confirmed', 'Ready?', { ending: 'waiting' })
    })
    const other = await runOver([[watching(shelf), patient]])
    expect(await runSequence(other.options)).toMatchObject({ outcome: 'waiting' })
    expect(shelf.writes).toEqual(['watched=1'])
  })

  it('leaves its decision in the status', async () => {
    const shelf = new Shelf()
    const decision = { decision: 'back', by: 'guard', at: '2026-11-22T09:30:00.000Z', reason: 'dead', cutoverAt: 7 } as const
    const ends = deciding(shelf, async (run) => {
      await run.remember(GOING_BACK_KEY, decision)
      throw new RunEnding('failback', 'Going back.')
    })
    const { options } = await runOver([[ends]])
    expect(await runSequence(options)).toMatchObject({ outcome: 'failed', exit: 1 })
    expect(await readStatus(options.directory)).toMatchObject({ goingBack: decision })
  })

  it('is answered by a person only where too much hangs on it for --yes', async () => {
    const shelf = new Shelf()
    const answers: boolean[] = []
    const asking = deciding(shelf, async (run) => {
      answers.push(await run.confirm('Go on?'))
      answers.push(await run.confirm('Go back?', undefined, true))
    })
    const alone = await runOver([[asking]], { yes: true })
    expect(await runSequence(alone.options)).toMatchObject({ outcome: 'waiting', exit: 3 })
    expect(answers).toEqual([true])
    const attended = await runOver([[asking]], { yes: true, ask: async () => false })
    expect(await runSequence(attended.options)).toMatchObject({ outcome: 'ok' })
    expect(answers).toEqual([true, true, false])
  })
})

describe('a rollback that sends customers back first', () => {
  it('takes the rest back after that, leaves what it can’t for the next one, and older changes of the same step with it', async () => {
    const shelf = new Shelf()
    let dead = true
    const dns = putStep(shelf, { id: 'dns', phase: 'cutover', puts: { dns: 'new' } })
    const files = putStep(shelf, {
      id: 'files',
      phase: 'settle',
      puts: { a: '1', b: '2' },
      overrides: {
        undoneLast: true,
        undo: async (change) => {
          if (dead) throw new MigrateError('files-unreachable', 'The new host doesn’t answer.')
          await shelf.put(change.name, change.before)
        },
      },
    })
    const { events, options } = await runOver([[dns], [files]])
    await runSequence(options)
    events.length = 0
    shelf.writes.length = 0
    const back = { ...options, phases: ['cutover', 'settle'], customersFirst: true } as const

    expect(await rollback(back)).toMatchObject({ outcome: 'failed', exit: 1 })
    expect(shelf.writes).toEqual(['dns=(gone)'])
    expect(storyOf(events)).toEqual(['undone put dns=new', 'warning not-taken-back-yet', 'finished failed 1'])
    dead = false
    expect(await rollback(back)).toMatchObject({ outcome: 'ok', exit: 0 })
    expect(shelf.writes).toEqual(['dns=(gone)', 'b=(gone)', 'a=(gone)'])
  })
})
