import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { Redactor, Secret } from '../../src/base/secret.ts'
import { checkSequence, runSequence } from '../../src/run/runner.ts'
import { readEntries } from './entries.ts'
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
