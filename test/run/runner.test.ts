import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { Redactor, Secret } from '../../src/base/secret.ts'
import { readEntries } from '../../src/run/journal.ts'
import { checkSequence, runSequence } from '../../src/run/runner.ts'
import { putStep, runOver, Shelf, storyOf } from './shelf.ts'

const typesIn = async (directory: string): Promise<readonly string[]> =>
  ((await readEntries(directory)) ?? []).map((entry) => entry.record.type)

describe('a run', () => {
  it('plans, journals, applies and verifies each step, one group after the other', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([
      [putStep(shelf, { id: 'first', puts: { a: '1' } })],
      [putStep(shelf, { id: 'second', puts: { b: '2' } })],
    ])

    const result = await runSequence(options)

    expect(result).toMatchObject({ outcome: 'ok', exit: 0 })
    expect(shelf.contents).toEqual({ a: '1', b: '2' })
    expect(storyOf(events)).toEqual([
      'started first',
      'planned put a=1',
      'applying put a=1',
      'applied put a=1',
      'done first',
      'started second',
      'planned put b=2',
      'applying put b=2',
      'applied put b=2',
      'done second',
      'finished ok 0',
    ])
    expect(new Set(events.map((event) => event.run))).toEqual(new Set([result.runId]))
  })

  it('has the change and what stood there before on disk before it applies it', async () => {
    const shelf = new Shelf()
    shelf.values.set('a', 'old')
    const seen: string[] = []
    const step = putStep(shelf, {
      id: 'first',
      puts: { a: 'new' },
      before: async (_change, run) => {
        seen.push(await readFile(join(run.directory, 'journal.jsonl'), 'utf8'))
      },
    })
    const { options } = await runOver([[step]])

    await runSequence(options)

    expect(seen[0]).toContain('{"name":"a","before":"old","after":"new"}')
    expect(await typesIn(options.directory)).toEqual([
      'run-started',
      'step-started',
      'change-begun',
      'change-applied',
      'step-finished',
      'run-finished',
    ])
  })

  it('reports what every check finds, all together, and stops before anything is changed', async () => {
    const shelf = new Shelf()
    const complaining = (id: string, code: string) =>
      putStep(shelf, {
        id,
        puts: { [id]: '1' },
        overrides: { check: async () => [{ severity: 'error', code, message: `${id} is missing`, hint: 'Get it.' }] },
      })
    const throwing = putStep(shelf, {
      id: 'third',
      puts: { c: '1' },
      overrides: {
        check: async () => {
          throw new MigrateError('unreachable', 'no route')
        },
      },
    })
    const { events, options } = await runOver([[complaining('first', 'no-a')], [complaining('second', 'no-b'), throwing]])

    const result = await runSequence(options)

    expect(result).toMatchObject({ outcome: 'failed', exit: 1 })
    expect(storyOf(events)).toEqual(['error no-a', 'error no-b', 'error unreachable', 'failed run no-a', 'finished failed 1'])
    expect(events.find((event) => event.event === 'failed')).toMatchObject({
      message: 'first is missing (and 2 more, see above) Nothing was changed.',
    })
    expect(shelf.writes).toEqual([])
  })

  it('fails a step whose evidence is missing, and goes on from there the next time', async () => {
    const shelf = new Shelf()
    let broken = true
    const step = putStep(shelf, {
      id: 'first',
      puts: { a: '1' },
      overrides: {
        verify: async () => (broken ? [{ severity: 'error', code: 'not-there', message: 'a is not there', hint: 'Look.' }] : []),
      },
    })
    const { events, options } = await runOver([[step], [putStep(shelf, { id: 'second', puts: { b: '2' } })]])

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed', exit: 1 })
    expect(storyOf(events).slice(-3)).toEqual(['error not-there', 'failed first not-there', 'finished failed 1'])
    broken = false
    events.length = 0
    expect(await runSequence(options)).toMatchObject({ outcome: 'ok', exit: 0 })
    expect(storyOf(events)).toEqual([
      'started first',
      'done first',
      'started second',
      'planned put b=2',
      'applying put b=2',
      'applied put b=2',
      'done second',
      'finished ok 0',
    ])
    expect(shelf.writes).toEqual(['a=1', 'b=2'])
  })

  it('has nothing left to do when it is run again, and does again what the world has lost', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([
      [putStep(shelf, { id: 'first', puts: { a: '1' } })],
      [putStep(shelf, { id: 'second', puts: { b: '2' } })],
    ])
    await runSequence(options)
    events.length = 0

    expect(await runSequence(options)).toMatchObject({ outcome: 'ok', exit: 0 })
    expect(storyOf(events)).toEqual(['started first', 'skipped first', 'started second', 'skipped second', 'finished ok 0'])
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'note', message: expect.stringContaining('Nothing left to do') }),
    )

    shelf.values.delete('a')
    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(shelf.contents).toEqual({ a: '1', b: '2' })
  })

  it('leaves finished preparations alone once the cutover has begun, unless they are named', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([
      [putStep(shelf, { id: 'restore', puts: { a: '1' } })],
      [putStep(shelf, { id: 'cutover', phase: 'cutover', puts: { b: '2' } })],
    ])
    await runSequence(options)
    shelf.values.set('a', 'changed by a customer on the new host')

    await runSequence(options)
    expect(shelf.values.get('a')).toBe('changed by a customer on the new host')
    expect(storyOf(events)).toContain('warning left-alone-after-cutover')

    await runSequence({ ...options, only: 'restore' })
    expect(shelf.values.get('a')).toBe('1')
  })

  it('writes nothing at all in a dry run or a check, not even a folder', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([
      [putStep(shelf, { id: 'first', puts: { a: '1' } })],
      [
        putStep(shelf, {
          id: 'second',
          puts: { b: '2' },
          overrides: {
            plan: async () => {
              throw new MigrateError('no-plan', 'no idea')
            },
          },
        }),
        putStep(shelf, { id: 'third', puts: { c: '3' } }),
      ],
    ])

    expect(await runSequence({ ...options, dryRun: true })).toMatchObject({ outcome: 'failed', exit: 1 })
    expect(storyOf(events)).toEqual([
      'started first',
      'planned put a=1',
      'done first',
      'started second',
      'failed second no-plan',
      'started third',
      'planned put c=3',
      'done third',
      'finished failed 1',
    ])
    expect(await checkSequence(options)).toMatchObject({ outcome: 'ok', exit: 0 })
    expect(existsSync(options.directory)).toBe(false)
    expect(shelf.writes).toEqual([])
  })

  it('lets nobody remember anything while it only reads', async () => {
    const shelf = new Shelf()
    const step = putStep(shelf, {
      id: 'first',
      puts: { a: '1' },
      overrides: {
        plan: async (run) => {
          await run.remember('cursor', 1)
          return []
        },
      },
    })
    const { events, options } = await runOver([[step]])

    await runSequence(options)

    expect(storyOf(events)).toContain('failed first fault')
  })

  it('keeps what steps remember, over processes, and tells them what became of their changes', async () => {
    const shelf = new Shelf()
    const seen: unknown[] = []
    const step = putStep(shelf, {
      id: 'first',
      puts: { a: '1' },
      before: async (change, run) => {
        seen.push(run.recall('tries'), run.history(change))
        await run.remember('tries', Number(run.recall('tries') ?? 0) + 1)
        if (seen.length === 2) throw new MigrateError('cut-off', 'cut off')
      },
    })
    const { options } = await runOver([[step]])

    await runSequence(options)
    await runSequence(options)

    expect(seen).toEqual([undefined, 'begun', 1, 'begun'])
  })
})

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

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed', seconds: 90 })
    expect(storyOf(events)).toContain('failed deaf step-timed-out')
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

describe('parked rows', () => {
  it('end the run as parked after the later steps have run, and are asked about again', async () => {
    const shelf = new Shelf()
    let conflicts = true
    const reconcile = putStep(shelf, {
      id: 'reconcile',
      phase: 'settle',
      puts: { a: '1' },
      overrides: {
        verify: async () =>
          conflicts ? [{ severity: 'warning', code: 'rows-parked', message: '2 rows wait for you', hint: 'Look at them.' }] : [],
      },
    })
    const { options } = await runOver([[reconcile], [putStep(shelf, { id: 'report', puts: { b: '2' } })]])

    expect(await runSequence(options)).toMatchObject({ outcome: 'parked', exit: 3 })
    expect(shelf.contents).toEqual({ a: '1', b: '2' })
    expect(await runSequence(options)).toMatchObject({ outcome: 'parked', exit: 3 })
    conflicts = false
    expect(await runSequence(options)).toMatchObject({ outcome: 'ok', exit: 0 })
  })
})

describe('a selection', () => {
  it.each([
    [{ only: 'two' }, { b: '1' }],
    [{ from: 'two' }, { b: '1', c: '1' }],
    [{ until: 'two' }, { a: '1', b: '1' }],
    [{ from: 'two', until: 'two' }, { b: '1' }],
  ])('%j runs these steps alone', async (selection, contents) => {
    const shelf = new Shelf()
    const sequence = [
      [putStep(shelf, { id: 'one', puts: { a: '1' } }), putStep(shelf, { id: 'two', puts: { b: '1' } })],
      [putStep(shelf, { id: 'three', puts: { c: '1' } })],
    ]
    const { options } = await runOver(sequence, selection)

    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(shelf.contents).toEqual(contents)
  })

  it.each([
    [{ only: 'tow' }, 'step-unknown', 'Did you mean "two"?'],
    [{ from: 'three', until: 'one' }, 'selection-empty', 'Exchange'],
    [{ only: 'one', from: 'two' }, 'selection-contradicts', 'Leave one'],
  ])('%j is a usage error', async (selection, code, hint) => {
    const shelf = new Shelf()
    const sequence = ['one', 'two', 'three'].map((id) => [putStep(shelf, { id, puts: { [id]: '1' } })])
    const { events, options } = await runOver(sequence, selection)

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed', exit: 2 })
    expect(events.find((event) => event.event === 'failed')).toMatchObject({
      step: null,
      code,
      hint: expect.stringContaining(hint),
    })
    expect(existsSync(options.directory)).toBe(false)
  })
})

describe('a run is bound to its playbook and endpoints', () => {
  it('and stops with every difference shown', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([[putStep(shelf, { id: 'one', puts: { a: '1' } })]])
    await runSequence(options)
    shelf.writes.length = 0
    const binding = { playbook: { name: 'shelf', steps: [['one'], ['two']] }, endpoints: { old: 'a', new: 'elsewhere' } }

    expect(await runSequence({ ...options, binding })).toMatchObject({ outcome: 'failed', exit: 2 })

    const failed = events.findLast((event) => event.event === 'failed')
    expect(failed).toMatchObject({ code: 'run-bound-elsewhere' })
    expect(failed?.event === 'failed' ? failed.message.split('\n').slice(1) : []).toEqual([
      '  steps[1]: (absent) → ["two"]',
      '  endpoints.new: "b" → "elsewhere"',
    ])
    expect(shelf.writes).toEqual([])
  })

  it('until a fresh one is begun, which keeps the earlier one aside', async () => {
    const shelf = new Shelf()
    const { options } = await runOver([[putStep(shelf, { id: 'one', puts: { a: '1' } })]])
    const first = await runSequence(options)
    const binding = { playbook: 'another', endpoints: {} }

    const second = await runSequence({ ...options, binding, fresh: true })

    expect(second).toMatchObject({ outcome: 'ok' })
    expect(second.runId).not.toBe(first.runId)
    expect(await readdir(options.directory)).toContain(`earlier-${first.runId}`)
    expect(await typesIn(join(options.directory, `earlier-${first.runId}`))).toContain('change-applied')
  })

  it('and a fresh one after the cutover needs a yes', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([[putStep(shelf, { id: 'move', phase: 'cutover', puts: { a: '1' } })]])
    await runSequence(options)

    expect(await runSequence({ ...options, fresh: true })).toMatchObject({ exit: 2 })
    expect(storyOf(events)).toContain('failed run fresh-after-cutover')
    expect(await runSequence({ ...options, fresh: true, yes: true })).toMatchObject({ exit: 0 })
  })
})

describe('secrets', () => {
  it('reach neither events nor the journal, whoever wrote them there', async () => {
    const shelf = new Shelf()
    const redactor = new Redactor()
    redactor.add(new Secret('hunter2secret'))
    const step = putStep(shelf, {
      id: 'leaky',
      puts: { a: 'password=hunter2secret' },
      before: async (_change, run) => {
        run.emit({ event: 'note', message: 'login with hunter2secret' })
        await run.remember('hunter2secret', { deep: ['hunter2secret'] })
        throw new Error('server says: bad password hunter2secret')
      },
    })
    const { events, options } = await runOver([[step]], { redactor })

    await runSequence(options)

    expect(JSON.stringify(events)).not.toContain('hunter2')
    expect(await readFile(join(options.directory, 'journal.jsonl'), 'utf8')).not.toContain('hunter2')
    expect(JSON.stringify(events)).toContain('server says: bad password ***')
  })
})

describe('trouble with the state directory', () => {
  it('is told, and nothing is changed', async () => {
    const shelf = new Shelf()
    const { events, options } = await runOver([[putStep(shelf, { id: 'one', puts: { a: '1' } })]])
    await writeFile(options.directory, 'a file stands here')

    const result = await runSequence(options)

    expect(result).toMatchObject({ outcome: 'failed', exit: 1 })
    expect(storyOf(events)).toEqual(['failed run state-directory-unusable', 'finished failed 1'])
    expect(shelf.writes).toEqual([])
  })
})
