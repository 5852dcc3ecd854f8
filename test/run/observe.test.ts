import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { observeSteps } from '../../src/run/observe.ts'
import { runSequence } from '../../src/run/runner.ts'
import { putStep, runOver, Shelf, storyOf } from './shelf.ts'

describe('looking on beside a run', () => {
  it('needs neither lock nor journal, knows what the run remembers, and writes nothing down', async () => {
    const shelf = new Shelf()
    const seen: unknown[] = []
    let journal = ''
    const watching = putStep(shelf, {
      id: 'watching',
      puts: {},
      phase: 'settle',
      overrides: {
        plan: async () => [{ name: 'look', before: null, after: 'once' }],
        apply: async (_change, run) => {
          seen.push(run.recall('fact'))
          await run.remember('fact', 'changed by the looker')
          seen.push(run.recall('fact'))
        },
      },
    })
    const working = putStep(shelf, {
      id: 'working',
      puts: { a: '1' },
      before: async (_change, run) => {
        await run.remember('fact', 'written by the run')
        journal = readFileSync(join(run.directory, 'journal.jsonl'), 'utf8')
        const looked = await runOver([[working], [watching]], { directory: run.directory })
        expect(await observeSteps(looked.options, ['watching'])).toMatchObject({ outcome: 'ok', exit: 0 })
        expect(storyOf(looked.events)).toEqual(['started watching', 'done watching', 'finished ok 0'])
        expect(readFileSync(join(run.directory, 'journal.jsonl'), 'utf8')).toBe(journal)
      },
    })
    const { options } = await runOver([[working], [watching]])

    expect(await runSequence({ ...options, until: 'working' })).toMatchObject({ outcome: 'ok' })

    expect(seen).toEqual(['written by the run', 'changed by the looker'])
    expect(journal).toContain('written by the run')
  })

  it('sees what the run remembers meanwhile when it looks anew', async () => {
    const shelf = new Shelf()
    const seen: unknown[] = []
    let tell: () => Promise<void> = async () => undefined
    const watching = putStep(shelf, {
      id: 'watching',
      puts: {},
      phase: 'settle',
      overrides: {
        plan: async () => [{ name: 'look', before: null, after: 'once' }],
        apply: async (_change, run) => {
          await tell()
          seen.push(run.recall('fact'))
          await run.observing?.refresh()
          seen.push(run.recall('fact'))
        },
      },
    })
    const working = putStep(shelf, {
      id: 'working',
      puts: { a: '1' },
      before: async (_change, run) => {
        expect(run.observing).toBeUndefined()
        await run.remember('fact', 'first')
        tell = () => run.remember('fact', 'second')
        const looked = await runOver([[working], [watching]], { directory: run.directory })
        await observeSteps(looked.options, ['watching'])
      },
    })
    const { options } = await runOver([[working], [watching]])

    await runSequence({ ...options, until: 'working' })

    expect(seen).toEqual(['first', 'second'])
  })

  it('makes no folder where there was no run', async () => {
    const shelf = new Shelf()
    const { options, events } = await runOver([[putStep(shelf, { id: 'watching', puts: {} })]])

    expect(await observeSteps(options, ['watching'])).toMatchObject({ outcome: 'ok' })

    expect(existsSync(options.directory)).toBe(false)
    expect(storyOf(events)).toEqual(['started watching', 'skipped watching', 'finished ok 0'])
  })

  it('plans a dry run in spite of what a check found, and still fails', async () => {
    const shelf = new Shelf()
    const step = putStep(shelf, {
      id: 'first',
      puts: { a: '1' },
      overrides: { check: async () => [{ severity: 'error', code: 'right-missing', message: 'May not write.' }] },
    })
    const { options, events } = await runOver([[step]])

    expect(await runSequence({ ...options, dryRun: true })).toMatchObject({ outcome: 'failed', exit: 1 })

    expect(storyOf(events)).toContain('planned put a=1')
    expect(shelf.writes).toEqual([])
  })
})
