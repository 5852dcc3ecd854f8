import { describe, expect, it } from 'vitest'
import { runSequence } from '../../src/run/runner.ts'
import { rollback } from '../../src/run/undo.ts'
import { pauseKind } from '../../src/steps/pause.ts'
import { testContext, testWorld } from '../fakes/step-run.ts'
import { runOver, storyOf } from '../run/shelf.ts'

const paused = (written: unknown) =>
  runOver([[pauseKind.create(pauseKind.options.parse(written), testContext(testWorld({}), 'pause'))]])

describe('a pause', () => {
  it.each(['Call the bank', { message: 'Call the bank' }])('written as %j waits without a terminal', async (written) => {
    const { options, events } = await paused(written)

    expect(await runSequence(options)).toMatchObject({ outcome: 'waiting', exit: 3 })
    expect(events.find((event) => event.event === 'waiting')).toMatchObject({
      message: 'Call the bank',
      hint: expect.stringContaining('--yes'),
    })
  })

  it('asks the person once, and never again once confirmed', async () => {
    const { options } = await paused('Call the bank')
    const questions: string[] = []
    const answering = (answer: boolean) => ({
      ...options,
      ask: async (question: string) => {
        questions.push(question)
        return answer
      },
    })

    expect(await runSequence(answering(false))).toMatchObject({ outcome: 'waiting', exit: 3 })
    expect(await runSequence(answering(true))).toMatchObject({ outcome: 'ok' })
    expect(await runSequence(answering(true))).toMatchObject({ outcome: 'ok' })
    expect(questions).toEqual(['Call the bank', 'Call the bank'])
  })

  it('is confirmed by --yes, and asked anew after a rollback', async () => {
    const { options, events } = await paused('Call the bank')

    expect(await runSequence({ ...options, yes: true })).toMatchObject({ outcome: 'ok' })
    expect(await rollback(options)).toMatchObject({ outcome: 'ok' })
    events.length = 0
    expect(await runSequence(options)).toMatchObject({ outcome: 'waiting' })
    expect(storyOf(events)).toContain('waiting pause')
  })
})
