import { describe, expect, it } from 'vitest'
import type { Notice } from '../../src/base/notice.ts'
import { Outbox } from '../../src/run/tell-outbox.ts'
import { FakeClock } from '../fakes/clock.ts'
import { hook } from './tell-hook.ts'

const notice = (id: string): Notice => ({
  ...{ id, playbook: 'shelf', run: 'r', step: null, time: '2026-01-01T00:00:00.000Z' },
  ...{ topic: 'finished', severity: 'info', code: null, title: id, text: id },
})

/** Between two steps of the same work there is room for others: every one of them is tried. */
const MOST_STEPS = 30

describe('the messages of one hook', () => {
  it('are all sent, at whichever moment after the one before the last one comes', async () => {
    for (let steps = 0; steps < MOST_STEPS; steps += 1) {
      const ops = hook()
      const delivered: string[] = []
      const first = Promise.withResolvers<void>()
      const outbox = new Outbox(ops, new FakeClock(), {
        delivered: (key) => {
          delivered.push(key)
          first.resolve()
        },
        failed: (error) => first.reject(error),
      })
      outbox.put('first', notice('first'))
      await first.promise
      for (let step = 0; step < steps; step += 1) await undefined
      outbox.put('last', notice('last'))
      await outbox.settle(new AbortController().signal)
      expect(delivered, `${steps} steps later`).toEqual(['first', 'last'])
    }
  })
})
