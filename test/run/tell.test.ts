import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { Notice } from '../../src/base/notice.ts'
import { Redactor, Secret } from '../../src/base/secret.ts'
import { checkSequence, type RunOptions, runSequence } from '../../src/run/runner.ts'
import { usualTopics } from '../../src/run/tell-topics.ts'
import { rollback } from '../../src/run/undo.ts'
import { FakeClock } from '../fakes/clock.ts'
import { readEntries } from './entries.ts'
import { emptyFolder, putStep, runOver, Shelf } from './shelf.ts'
import { hook, titles } from './tell-hook.ts'

const shelf = new Shelf()
describe('people are told', () => {
  it('that DNS moves, has moved and was moved back, and how it ended', async () => {
    const ops = hook()
    const { options } = await runOver([[putStep(new Shelf(), { id: 'move', phase: 'cutover', puts: { dns: 'new' } })]], {
      hooks: [ops],
    })

    await runSequence(options)
    await rollback(options)

    expect(titles(ops)).toEqual(['shelf: begun: Put dns', 'shelf: done: Put dns', 'shelf: done', 'shelf: taken back: Put dns'])
    expect(ops.notices[0]).toMatchObject({ topic: 'cutover', step: 'move', severity: 'info', playbook: 'shelf' })
  })

  it('of a failure with what to do, once, however often the same run fails by it', async () => {
    const ops = hook()
    let code = 'no-room'
    const step = putStep(new Shelf(), {
      id: 'copy',
      puts: { a: '1' },
      before: async () => {
        throw new MigrateError(code, 'The disk is full.', { hint: 'Make room.' })
      },
    })
    const { options } = await runOver([[step]], { hooks: [ops] })

    await runSequence(options)
    await runSequence(options)
    expect(ops.notices).toMatchObject([
      { title: 'shelf: failed: Put a', text: 'The disk is full.\n→ Make room.', severity: 'error', code: 'no-room' },
    ])

    code = 'other'
    await runSequence(options)
    expect(ops.notices).toHaveLength(2)
  })

  it('again when a failure was mended and comes back', async () => {
    const ops = hook(['failed'])
    const world = new Shelf()
    let broken = true
    const step = putStep(world, {
      id: 'copy',
      phase: 'settle',
      puts: { a: '1' },
      before: async () => {
        if (broken) throw new MigrateError('no-room', 'The disk is full.')
      },
    })
    const { options } = await runOver([[step]], { hooks: [ops] })

    await runSequence(options)
    broken = false
    await runSequence(options)
    broken = true
    world.values.clear()
    await runSequence(options)

    expect(titles(ops)).toEqual(['shelf: failed: Put a', 'shelf: failed: Put a'])
  })

  it('of what they asked for and of nothing else: topics, and findings by their code', async () => {
    const finds = putStep(new Shelf(), {
      id: 'check',
      puts: { a: '1' },
      overrides: {
        verify: async () => [
          { severity: 'info', code: 'seen', message: 'Something was seen. It is fine.' },
          { severity: 'warning', code: 'odd', message: 'Something is odd.' },
          { severity: 'warning', code: 'rows-parked', message: '3 rows are parked.' },
        ],
      },
    })
    const hooks = [
      hook(['code:seen'], undefined, 'a'),
      hook(['warnings'], undefined, 'b'),
      hook(['parked'], undefined, 'c'),
      hook(['drained'], undefined, 'd'),
    ]
    const { options } = await runOver([[finds]], { hooks })

    await runSequence(options)

    expect(hooks.map(titles)).toEqual([
      ['shelf: note: Something was seen'],
      ['shelf: warning: Something is odd'],
      ['shelf: to be decided by a person'],
      [],
    ])
  })

  it('that a question waits at a terminal where nobody sits', async () => {
    const ops = hook(['waiting'])
    const step = putStep(new Shelf(), {
      id: 'ask',
      puts: { a: '1' },
      before: async (_change, run) => {
        await run.confirm('Shall it go on?', 'Answer it.')
      },
    })
    const clock = new FakeClock()
    const patient: RunOptions['ask'] = async () => {
      await clock.sleep(10 * 60_000)
      return true
    }
    const { options } = await runOver([[step]], { hooks: [ops], clock, ask: patient })

    await runSequence(options)

    expect(ops.notices).toMatchObject([{ title: 'shelf: waits for you', text: 'Shall it go on?\n→ Answer it.', step: 'ask' }])
  })
})

describe('a message that can’t be delivered', () => {
  const hooksEnd = async (send: (notice: Notice, signal: AbortSignal) => Promise<void>) => {
    const ops = hook(usualTopics, send)
    const told = await runOver([[putStep(new Shelf(), { id: 'move', phase: 'cutover', puts: { dns: 'new' } })]], { hooks: [ops] })
    const result = await runSequence(told.options)
    const undelivered = told.events.filter((event) => event.event === 'finding' && event.code.startsWith('notice-'))
    return { ops, result, undelivered, ...told }
  }

  it('is tried again for a while, and the migration goes on', async () => {
    let tries = 0
    const { ops, result, undelivered } = await hooksEnd(async () => {
      tries += 1
      if (tries <= 3) throw new MigrateError('notice-undelivered', 'It answered 503.', { retrySafe: true })
    })

    expect(result).toMatchObject({ outcome: 'ok', exit: 0 })
    expect(undelivered).toEqual([])
    expect(titles(ops)).toContain('shelf: begun: Put dns')
  })

  it.each([
    ['refused', async () => Promise.reject(new MigrateError('notice-refused', 'It answered 404.', { hint: 'Look.' }))],
    ['hanging, whatever it is told', () => new Promise<void>(() => undefined)],
    ['throwing something odd', async () => Promise.reject(new TypeError('odd'))],
  ])('is a warning of the run and its report, once for each outage, and fails nothing: %s', async (_how, send) => {
    const { result, undelivered, options, events } = await hooksEnd(send)

    expect(result).toMatchObject({ outcome: 'ok', exit: 0 })
    expect(undelivered).toMatchObject([
      { severity: 'warning', step: null, message: expect.stringContaining('could not be delivered by ops') },
    ])
    expect(events.at(-1)?.event).toBe('finished')
    const entries = (await readEntries(options.directory)) ?? []
    expect(entries.filter(({ record }) => record.type === 'finding' && record.code.startsWith('notice-'))).toHaveLength(1)
    expect(entries.at(-1)?.record.type).toBe('run-finished')
  })

  it('is waited for at the end no longer than until the second Ctrl-C', async () => {
    const abort = new AbortController()
    const ops = hook(usualTopics, () => {
      abort.abort(new Error('now'))
      return new Promise<void>(() => undefined)
    })
    const clock = new FakeClock(undefined, { automatic: false })
    const { options, events } = await runOver([[putStep(new Shelf(), { id: 'copy', puts: { a: '1' } })]], {
      hooks: [ops],
      clock,
      abort: abort.signal,
    })

    await runSequence(options)

    expect(events.at(-1)).toMatchObject({ event: 'finished' })
  })
})

describe('telling', () => {
  it('sends what comes in a short time as one message, with the gravest at its head', async () => {
    const ops = hook(['warnings', 'errors', 'failed'])
    const step = putStep(new Shelf(), {
      id: 'copy',
      puts: { a: '1' },
      before: async (_change, run) => {
        for (let number = 1; number <= 30; number += 1)
          run.emit({ event: 'finding', severity: 'warning', code: 'odd', message: `Thing ${number} is odd.` })
        throw new MigrateError('broken', 'It broke.')
      },
    })
    const { options } = await runOver([[step]], { hooks: [ops] })

    await runSequence(options)

    expect(ops.notices.length).toBeLessThan(5)
    expect(titles(ops)).toHaveLength(31)
    expect(ops.notices.at(-1)?.title).toMatch(/failed: Put a \(and \d+ more\)/)
  })

  it('never holds up the work: a run whose receiver is asleep gets on', async () => {
    const begun: string[] = []
    const asleep = Promise.withResolvers<void>()
    const ops = hook(usualTopics, () => asleep.promise)
    const step = (id: string, phase: 'cutover' | 'settle') =>
      putStep(new Shelf(), {
        id,
        phase,
        puts: { [id]: '1' },
        before: async () => {
          begun.push(id)
          if (id === 'second') asleep.resolve()
        },
      })
    const { options } = await runOver([[step('first', 'cutover')], [step('second', 'settle')]], { hooks: [ops] })

    await runSequence(options)

    expect(begun).toEqual(['first', 'second'])
    expect(titles(ops)).toContain('shelf: begun: Put first')
  })

  it('holds no secret', async () => {
    const redactor = new Redactor()
    redactor.add(new Secret('hunter2-hunter2'))
    const ops = hook()
    const step = putStep(new Shelf(), {
      id: 'copy',
      puts: { a: '1' },
      before: async () => {
        throw new MigrateError('login', 'The password hunter2-hunter2 was refused.')
      },
    })
    const { options } = await runOver([[step]], { hooks: [ops], redactor })

    await runSequence(options)

    expect(ops.notices[0]?.text).toBe('The password *** was refused.')
  })

  it('is done by no dry run and no check, which look whether it could be', async () => {
    const ops = hook()
    const looked: string[] = []
    const checkHooks = async () => {
      looked.push('looked')
      return [{ severity: 'warning', code: 'notice-channel-unreachable', message: 'Nobody would be told.' } as const]
    }
    const step = putStep(shelf, { id: 'move', phase: 'cutover', puts: { a: '1' } })
    const { options, events } = await runOver([[step]], { hooks: [ops], checkHooks, directory: `${await emptyFolder()}/none` })

    expect(await checkSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(await runSequence({ ...options, dryRun: true })).toMatchObject({ outcome: 'ok' })

    expect(ops.notices).toEqual([])
    expect(looked).toEqual(['looked', 'looked'])
    expect(events.filter((event) => event.event === 'finding' && event.code === 'notice-channel-unreachable')).toHaveLength(2)
  })
})
