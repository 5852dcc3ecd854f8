import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { Redactor, Secret } from '../../src/base/secret.ts'
import { runSequence } from '../../src/run/runner.ts'
import { readStatus } from '../../src/run/status.ts'
import type { Step } from '../../src/run/step.ts'
import { rollback } from '../../src/run/undo.ts'
import { type Put, putStep, runOver, Shelf, storyOf } from './shelf.ts'

const withoutUndo = (step: Step<Put>): Step<Put> => {
  const { undo: _, ...rest } = step
  return rest
}

describe('a rollback', () => {
  it('takes back every change, newest first, and the next run is a new one', async () => {
    const shelf = new Shelf()
    shelf.values.set('b', 'before')
    const { events, options } = await runOver([
      [putStep(shelf, { id: 'one', puts: { a: '1' } })],
      [putStep(shelf, { id: 'two', phase: 'cutover', puts: { b: '2', c: '3' } })],
    ])
    const first = await runSequence(options)
    events.length = 0
    shelf.writes.length = 0

    expect(await rollback(options)).toMatchObject({ outcome: 'ok', exit: 0, runId: first.runId })
    expect(storyOf(events)).toEqual(['undone put c=3', 'undone put b=2', 'undone put a=1', 'finished ok 0'])
    expect(shelf.writes).toEqual(['c=(gone)', 'b=before', 'a=(gone)'])
    expect(await readStatus(options.directory)).toMatchObject({ rollback: 'complete', cutOver: false })

    const second = await runSequence(options)
    expect(second.outcome).toBe('ok')
    expect(second.runId).not.toBe(first.runId)
    expect(shelf.contents).toEqual({ a: '1', b: '2', c: '3' })
  })

  it('takes back what was begun and never finished, over several processes', async () => {
    const shelf = new Shelf()
    let broken = true
    const halfway = putStep(shelf, {
      id: 'two',
      puts: { b: '2' },
      overrides: {
        apply: async (change) => {
          await shelf.put(change.name, broken ? 'half' : change.after)
          if (broken) throw new MigrateError('cut', 'cut')
        },
      },
    })
    const { events, options } = await runOver([[putStep(shelf, { id: 'one', puts: { a: '1' } })], [halfway]])
    await runSequence(options)
    broken = false
    await runSequence(options)
    expect(shelf.contents).toEqual({ a: '1', b: '2' })
    events.length = 0

    expect(await rollback(options)).toMatchObject({ outcome: 'ok' })
    expect(storyOf(events)).toEqual(['undone put b=2', 'undone put b=2', 'undone put a=1', 'finished ok 0'])
    expect(shelf.contents).toEqual({})
  })

  it('stops at what can’t be taken back now, says what still stands, and goes on there', async () => {
    const shelf = new Shelf()
    let refusing = true
    const stubborn = putStep(shelf, {
      id: 'two',
      puts: { b: '2' },
      overrides: {
        undo: async (change) => {
          if (refusing) throw new MigrateError('no-right', 'permission denied', { hint: 'Grant it.' })
          await shelf.put(change.name, change.before)
        },
      },
    })
    const { events, options } = await runOver([
      [putStep(shelf, { id: 'one', puts: { a: '1' } })],
      [stubborn],
      [putStep(shelf, { id: 'three', puts: { c: '3' } })],
    ])
    await runSequence(options)
    events.length = 0

    expect(await rollback(options)).toMatchObject({ outcome: 'failed', exit: 1 })
    expect(events.find((event) => event.event === 'failed')).toMatchObject({
      code: 'no-right',
      message: '"put b=2" (two) could not be taken back: permission denied What was begun before it still stands.',
      hint: 'Grant it. Then run  migrate rollback PLAYBOOK  again: it goes on here.',
    })
    expect(shelf.contents).toEqual({ a: '1', b: '2' })
    expect(await readStatus(options.directory)).toMatchObject({ rollback: 'unfinished' })

    refusing = false
    expect(await rollback(options)).toMatchObject({ outcome: 'ok' })
    expect(shelf.writes.filter((write) => write === 'c=(gone)')).toHaveLength(1)
    expect(shelf.contents).toEqual({})
    events.length = 0
    expect(await rollback(options)).toMatchObject({ outcome: 'ok' })
    expect(storyOf(events)).toEqual(['finished ok 0'])
  })

  it('says beforehand what can’t be taken back, and what remains', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([
      [withoutUndo(putStep(shelf, { id: 'mail', puts: { sent: 'yes' } }))],
      [putStep(shelf, { id: 'two', puts: { b: '2' } })],
    ])
    await runSequence(options)
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'finding', step: 'mail', code: 'no-way-back', severity: 'info' }),
    )
    events.length = 0

    expect(await rollback(options)).toMatchObject({ outcome: 'ok' })
    expect(storyOf(events)).toEqual(['undone put b=2', 'warning not-taken-back', 'finished ok 0'])
    expect(shelf.contents).toEqual({ sent: 'yes' })
  })

  it('says what remains once for each step, however much it is', async () => {
    const shelf = new Shelf()
    const puts = { a: '1', b: '2', c: '3', d: '4', e: '5' }
    const { events, options } = await runOver([[withoutUndo(putStep(shelf, { id: 'mail', puts }))]])
    await runSequence(options)
    events.length = 0

    await rollback({ ...options, dryRun: true })
    await rollback(options)

    const remains = events.flatMap((event) =>
      event.event === 'finding' && event.code === 'not-taken-back' ? [event.message] : [],
    )
    const all = 'Remains as it is: put e=5; put d=4; put c=3; and 2 more (this step can’t be taken back).'
    expect(remains).toEqual([all, all])
  })

  it('never hands a step a change that a secret was blanked in', async () => {
    const shelf = new Shelf()
    shelf.values.set('a', 'was hunter2secret')
    const redactor = new Redactor()
    redactor.add(new Secret('hunter2secret'))
    const { events, options } = await runOver([[putStep(shelf, { id: 'one', puts: { a: 'now' } })]], { redactor })
    await runSequence(options)

    await rollback(options)

    expect(storyOf(events)).toContain('warning not-taken-back')
    expect(shelf.contents).toEqual({ a: 'now' })
  })

  it('can be limited to the cutover', async () => {
    const shelf = new Shelf()
    const { options } = await runOver([
      [putStep(shelf, { id: 'one', puts: { a: '1' } })],
      [putStep(shelf, { id: 'two', phase: 'cutover', puts: { b: '2' } })],
    ])
    await runSequence(options)

    await rollback({ ...options, phases: ['cutover'] })
    expect(shelf.contents).toEqual({ a: '1' })
    expect(await readStatus(options.directory)).toMatchObject({ rollback: 'unfinished', cutOver: false, next: 'two' })

    const again = await runSequence(options)
    expect(again.outcome).toBe('ok')
    expect(shelf.contents).toEqual({ a: '1', b: '2' })
  })

  it('stops between two changes when interrupted', async () => {
    const shelf = new Shelf()
    const interrupt = new AbortController()
    const { options } = await runOver([
      [putStep(shelf, { id: 'one', puts: { a: '1' } })],
      [
        putStep(shelf, {
          id: 'two',
          puts: { b: '2' },
          overrides: {
            undo: async (change) => {
              interrupt.abort()
              await shelf.put(change.name, change.before)
            },
          },
        }),
      ],
    ])
    await runSequence(options)

    expect(await rollback({ ...options, interrupt: interrupt.signal })).toMatchObject({ outcome: 'interrupted', exit: 130 })
    expect(shelf.contents).toEqual({ a: '1' })
    expect(await rollback(options)).toMatchObject({ outcome: 'ok' })
    expect(shelf.contents).toEqual({})
  })

  it('only tells, in a dry run, and has nothing to do where nothing was run', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([[putStep(shelf, { id: 'one', puts: { a: '1' } })]])
    expect(await rollback(options)).toMatchObject({ outcome: 'ok' })
    expect(existsSync(options.directory)).toBe(false)
    await runSequence(options)
    events.length = 0

    expect(await rollback({ ...options, dryRun: true })).toMatchObject({ outcome: 'ok' })
    expect(storyOf(events)).toEqual(['planned take back: put a=1', 'finished ok 0'])
    expect(shelf.contents).toEqual({ a: '1' })
  })
})

describe('the status', () => {
  it('is none before anything was run', async () => {
    const { options } = await runOver([])

    expect(await readStatus(options.directory)).toEqual({ state: 'none' })
  })

  it('tells from the journal alone where the run stands', async () => {
    const shelf = new Shelf()
    const broken = putStep(shelf, {
      id: 'two',
      puts: { b: '2' },
      before: async () => {
        throw new MigrateError('no-room', 'disk full', { hint: 'Make room.' })
      },
    })
    const { options } = await runOver([
      [withoutUndo(putStep(shelf, { id: 'one', puts: { a: '1' } }))],
      [broken],
      [putStep(shelf, { id: 'three', puts: { c: '3' } })],
    ])
    const { runId } = await runSequence(options)

    expect(await readStatus(options.directory)).toMatchObject({
      state: 'run',
      run: runId,
      playbook: 'shelf',
      outcome: 'failed',
      rollback: 'none',
      steps: [
        { id: 'one', status: 'finished', begun: 1, applied: 1, undone: 0 },
        { id: 'two', status: 'failed', begun: 1, applied: 0, undone: 0 },
        { id: 'three', status: 'waiting', begun: 0 },
      ],
      failure: { step: 'two', code: 'no-room', message: 'disk full', hint: 'Make room.' },
      next: 'two',
      cutOver: false,
      wayBack: { undoable: 1, remaining: ['put a=1'] },
    })
  })
})
