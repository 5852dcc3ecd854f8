import { describe, expect, it } from 'vitest'
import type { EventBody } from '../../src/run/events.ts'
import { observeSteps } from '../../src/run/observe.ts'
import { runSequence } from '../../src/run/runner.ts'
import { putStep, runOver, Shelf } from './shelf.ts'
import { hook, type TestHook, titles } from './tell-hook.ts'

const watch = (more: Partial<Extract<EventBody, { event: 'watch' }>> = {}): EventBody => ({
  event: 'watch',
  resolvers: { agreed: 1, total: 1 },
  old: { ordersPerMinute: 1, hitsPerMinute: 1 },
  new: { ordersPerMinute: 1, hitsPerMinute: 1 },
  headroom: [],
  drained: false,
  ...more,
})

const HOUR = 3_600_000

/** A step that shows the watch's figures one after the other, half a minute apart, and notes with how many messages each was answered. */
const watching = (looks: readonly EventBody[], everyMs = 30_000) =>
  putStep(new Shelf(), {
    id: 'watching',
    phase: 'settle',
    puts: { [`w${looks.length}`]: '1' },
    before: async (_change, run) => {
      for (const look of looks) {
        run.emit(look)
        await run.clock.sleep(everyMs, run.signal)
      }
    },
  })

const tellOf = async (looks: readonly EventBody[], ops: TestHook, everyMs?: number): Promise<readonly string[]> => {
  const { options } = await runOver([[watching(looks, everyMs)]], { hooks: [ops] })
  await runSequence(options)
  return titles(ops).filter((title) => !title.endsWith(': done'))
}

describe('the watch tells people', () => {
  const soon = (time: number, left = '20') =>
    watch({ headroom: [{ table: 'Orders', column: 'OrderID', used: '80', left, runsOutAt: new Date(time).toISOString() }] })
  const start = Date.UTC(2009, 7, 26, 3, 30)

  it('when a headroom runs out, once while it hovers about the limit, and again after it was safe', async () => {
    const looks = [
      soon(start + 0.9 * HOUR),
      soon(start + 1.2 * HOUR),
      soon(start + 0.9 * HOUR),
      soon(start + 5 * HOUR),
      soon(start + 0.5 * HOUR),
    ]

    expect(await tellOf(looks, hook())).toEqual([
      'shelf: headroom of Orders.OrderID runs out in 54 min 00 s',
      'shelf: headroom of Orders.OrderID is enough again',
      'shelf: headroom of Orders.OrderID runs out in 28 min 00 s',
    ])
    expect(await tellOf([soon(start, '0')], hook())).toEqual(['shelf: headroom used up: Orders.OrderID'])
  })

  it('when a host does not answer twice in a row, and when it does again', async () => {
    const silent = watch({ old: { ordersPerMinute: null, hitsPerMinute: null, unanswered: ['database'] } })

    expect(await tellOf([silent, watch(), silent, watch()], hook())).toEqual([])
    expect(await tellOf([silent, silent, silent, watch(), silent, watch(), watch()], hook())).toEqual([
      'shelf: the old host does not answer',
      'shelf: the old host answers again',
    ])
  })

  it('when orders can’t be carried over, when servers lag for an hour, and when the old host is drained and wakes again', async () => {
    const stuck = watch({ carrying: { lastAt: null, failing: true } })
    expect(await tellOf([stuck, stuck, stuck], hook())).toEqual(['shelf: orders of the old host are not carried over'])

    const late = watch({
      resolvers: { agreed: 1, total: 2 },
      lagging: [{ server: '192.0.2.53', says: 'A: 203.0.113.10', ttlLeftSeconds: 60 }],
    })
    const ops = hook()
    expect(await tellOf([late, late, late, late, late], ops, 20 * 60_000)).toEqual([
      'shelf: name servers still give the old address',
    ])
    expect(ops.notices[0]?.text).toContain('192.0.2.53 says A: 203.0.113.10')

    const order: EventBody = { event: 'finding', severity: 'warning', code: 'late-order', message: 'The old host got new rows.' }
    expect(await tellOf([watch({ drained: true }), order, watch(), order, watch({ drained: true }), order], hook())).toEqual([
      'shelf: the old host is drained',
      'shelf: warning: The old host got new rows',
      'shelf: the old host is drained',
      'shelf: warning: The old host got new rows',
    ])
  })

  it('not again what an earlier process of the run has told', async () => {
    const ops = hook(['headroom'])
    const looks = [soon(start + 0.5 * HOUR)]
    const step = watching(looks)
    const { options } = await runOver([[{ ...step, verify: async () => [{ severity: 'error', code: 'no', message: 'no' }] }]], {
      hooks: [ops],
    })

    await runSequence(options)
    await runSequence({
      ...options,
      sequence: [[{ ...watching(looks), verify: async () => [{ severity: 'error', code: 'no', message: 'no' }] }]],
    })

    expect(ops.notices).toHaveLength(1)
  })

  it('from a watch beside a run only when no run is at work, which tells by itself', async () => {
    const ops = hook(['headroom'])
    const step = watching([soon(start + 0.5 * HOUR)])
    const { options } = await runOver([[step]], { hooks: [ops] })
    const inner = putStep(new Shelf(), {
      id: 'outer',
      puts: { a: '1' },
      before: async () => {
        await observeSteps({ ...options, sequence: [[step]] }, ['watching'])
      },
    })

    await runSequence({ ...options, sequence: [[inner]] })
    expect(ops.notices).toEqual([])

    await observeSteps({ ...options, sequence: [[watching([soon(start + 0.5 * HOUR)])]] }, ['watching'])
    expect(ops.notices).toHaveLength(1)
  })
})
