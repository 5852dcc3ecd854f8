import { describe, expect, it } from 'vitest'
import { type Finding, MigrateError } from '../../src/base/errors.ts'
import type { RunOptions } from '../../src/run/runner.ts'
import { checkSequence, runSequence } from '../../src/run/runner.ts'
import type { Step, StepRun } from '../../src/run/step.ts'
import { type Put, putStep, runOver, Shelf, storyOf } from './shelf.ts'

/** Something that one step waits for and another brings about. */
function moment(): { readonly come: Promise<void>; readonly now: () => void } {
  let now = (): void => undefined
  const come = new Promise<void>((resolve) => {
    now = resolve
  })
  return { come, now: () => now() }
}

const following = (leader: string) => ({ follows: leader })

/** A step that ends only when it is told to stop. */
const untilStopped = (run: StepRun): Promise<void> =>
  new Promise((_, reject) => run.signal.addEventListener('abort', () => reject(run.signal.reason), { once: true }))

describe('a step that follows another', () => {
  it('begins beside it once that one hands over, and is awaited with its own group', async () => {
    const shelf = new Shelf()
    const [taken, mayEnd] = [moment(), moment()]
    const wasFollowing: boolean[] = []
    const leader = putStep(shelf, {
      id: 'save',
      puts: { saved: 'yes' },
      before: async (_change, run) => {
        expect(run.handOver()).toBe(true)
        // It began then, and doesn't begin once more.
        expect(run.handOver()).toBe(false)
        // Without a step that begins meanwhile this would never end.
        await taken.come
      },
    })
    const follower = putStep(shelf, {
      id: 'load',
      puts: { loaded: 'yes' },
      before: async (_change, run) => {
        wasFollowing.push(run.isFollowing())
        taken.now()
        await mayEnd.come
      },
      overrides: following('save'),
    })
    const beside = putStep(shelf, { id: 'upload', puts: { uploaded: 'yes' }, before: async () => mayEnd.now() })
    const last = putStep(shelf, {
      id: 'last',
      puts: { last: 'yes' },
      before: async () => {
        expect(shelf.contents).toMatchObject({ saved: 'yes', loaded: 'yes', uploaded: 'yes' })
      },
    })
    const { events, options } = await runOver([[leader], [beside, follower], [last]])

    const result = await runSequence(options)

    expect(result.outcome).toBe('ok')
    expect(wasFollowing).toEqual([true])
    const story = storyOf(events)
    expect(story.indexOf('started load')).toBeLessThan(story.indexOf('done save'))
    expect(story.indexOf('started upload')).toBeGreaterThan(story.indexOf('done save'))
    expect(story.filter((line) => line === 'started load')).toHaveLength(1)
  })

  it('is checked beside that one, and what both checks find is told in their order', async () => {
    const shelf = new Shelf()
    const begun = moment()
    const finding = (code: string): Finding => ({ severity: 'error', code, message: `${code} is missing`, hint: 'Get it.' })
    const leader = putStep(shelf, {
      id: 'save',
      puts: { saved: 'yes' },
      overrides: {
        check: async () => {
          // Were the other check to wait for its turn, this one would never end.
          await begun.come
          return [finding('first')]
        },
      },
    })
    const check = async (): Promise<readonly Finding[]> => {
      begun.now()
      return [finding('second')]
    }
    const follower = putStep(shelf, { id: 'load', puts: { loaded: 'yes' }, overrides: { ...following('save'), check } })
    const { events, options } = await runOver([[leader], [follower]])

    expect((await checkSequence(options)).outcome).not.toBe('ok')

    expect(events.flatMap((event) => (event.event === 'finding' && event.severity === 'error' ? event.code : []))).toEqual([
      'first',
      'second',
    ])
  })

  it('is not checked beside another one', async () => {
    const shelf = new Shelf()
    const asked: string[] = []
    const check = (id: string) => async (): Promise<readonly Finding[]> => {
      asked.push(`${id} begins`)
      await Promise.resolve()
      asked.push(`${id} ends`)
      return []
    }
    const one = putStep(shelf, { id: 'one', puts: { one: 'yes' }, overrides: { check: check('one') } })
    const two = putStep(shelf, { id: 'two', puts: { two: 'yes' }, overrides: { ...following('another'), check: check('two') } })
    const { options } = await runOver([[one, two]])

    expect(await checkSequence(options)).toMatchObject({ outcome: 'ok' })

    expect(asked).toEqual(['one begins', 'one ends', 'two begins', 'two ends'])
  })

  it('waits for its turn where that one never hands over, or where a group stands between', async () => {
    for (const groups of ['silent', 'apart'] as const) {
      const shelf = new Shelf()
      const wasFollowing: boolean[] = []
      const leader = putStep(shelf, {
        id: 'save',
        puts: { saved: 'yes' },
        before: async (_change, run) => {
          if (groups === 'apart') run.handOver()
        },
      })
      const follower = putStep(shelf, {
        id: 'load',
        puts: { loaded: 'yes' },
        before: async (_change, run) => void wasFollowing.push(run.isFollowing()),
        overrides: following('save'),
      })
      const between = putStep(shelf, { id: 'between', puts: { between: 'yes' } })
      const { events, options } = await runOver(groups === 'apart' ? [[leader], [between], [follower]] : [[leader], [follower]])

      expect((await runSequence(options)).outcome).toBe('ok')

      const story = storyOf(events)
      expect(story.indexOf('started load')).toBeGreaterThan(story.indexOf('done save'))
      expect(wasFollowing).toEqual([false])
    }
  })

  it('is told to stop when the other fails, and stops the other when it fails itself', async () => {
    for (const failing of ['save', 'load'] as const) {
      const shelf = new Shelf()
      const begun = moment()
      const act = (id: string) => async (_change: Put, run: StepRun) => {
        if (id === 'save') run.handOver()
        else begun.now()
        await begun.come
        if (id === failing) throw new MigrateError('no-room', `${id} has no room.`)
        await untilStopped(run)
      }
      const steps: readonly Step[] = [
        putStep(shelf, { id: 'save', puts: { saved: 'yes' }, before: act('save') }),
        putStep(shelf, { id: 'load', puts: { loaded: 'yes' }, before: act('load'), overrides: following('save') }),
      ]
      const { events, options } = await runOver(steps.map((step) => [step]))

      const result = await runSequence(options)

      expect(result).toMatchObject({ outcome: 'failed', exit: 1 })
      expect(storyOf(events)).toContain(`failed ${failing} no-room`)
      expect(storyOf(events)).toContain(`failed ${failing === 'save' ? 'load' : 'save'} stopped`)
      expect(shelf.contents).toEqual({})
    }
  })

  it('stops with the other at Ctrl-C, and both go on when run again', async () => {
    const shelf = new Shelf()
    const interrupt = new AbortController()
    const taken = moment()
    let lives = 0
    const sequence = (): RunOptions['sequence'] => [
      [
        putStep(shelf, {
          id: 'save',
          puts: { saved: 'yes' },
          before: async (_change, run) => {
            run.handOver()
            if (lives === 0) await taken.come.then(() => untilStopped(run))
          },
        }),
      ],
      [
        putStep(shelf, {
          id: 'load',
          puts: { loaded: 'yes' },
          before: async (_change, run) => {
            if (lives > 0) return
            taken.now()
            interrupt.abort(new Error('Ctrl-C'))
            await untilStopped(run)
          },
          overrides: following('save'),
        }),
      ],
    ]
    const first = await runOver(sequence(), { interrupt: interrupt.signal })
    expect(await runSequence(first.options)).toMatchObject({ outcome: 'interrupted', exit: 130 })
    expect(shelf.contents).toEqual({})

    lives = 1
    const { interrupt: _gone, ...rest } = first.options
    const again = await runSequence({ ...rest, sequence: sequence() })

    expect(again.outcome).toBe('ok')
    expect(shelf.contents).toEqual({ loaded: 'yes', saved: 'yes' })
  })
})
