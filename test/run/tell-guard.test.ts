import { describe, expect, it } from 'vitest'
import type { EventBody } from '../../src/run/events.ts'
import { Conditions } from '../../src/run/tell-conditions.ts'
import { topicOfFinding, usualTopics } from '../../src/run/tell-topics.ts'

const heard = (conditions: Conditions, body: EventBody) =>
  conditions.hear({ time: '2026-11-22T09:30:00.000Z', run: 'r', step: 'guard', ...body }, 0)

describe('what people are told of the guard', () => {
  it('is told of without being asked for', () => {
    expect(usualTopics).toContain('guard')
    for (const code of ['new-host-failing', 'failback-not-possible']) expect(topicOfFinding(code, 'error')).toBe('guard')
    for (const code of ['new-host-unsteady', 'own-line-down']) expect(topicOfFinding(code, 'warning')).toBe('guard')
  })

  it('is over when the new host is well again, and only then', () => {
    const conditions = new Conditions('shop', [])
    const failing: EventBody = {
      event: 'finding',
      severity: 'error',
      code: 'new-host-failing',
      message: 'The new host has failed.',
    }
    expect(heard(conditions, failing)).toMatchObject([{ kind: 'risen', happening: { topic: 'guard', severity: 'error' } }])
    const guard = (state: 'well' | 'failed'): EventBody => ({
      event: 'guard',
      state,
      watched: ['site'],
      faults: [],
      since: null,
      decidesAt: null,
      failback: 'offer',
      orders: { perMinute: null, expected: null },
    })
    expect(heard(conditions, guard('failed'))).toEqual([])
    expect(heard(conditions, guard('well'))).toMatchObject([
      { kind: 'gone', key: 'finding new-host-failing ', over: { topic: 'guard', title: 'shop: the new host is well again' } },
      { kind: 'gone', key: 'finding failback-not-possible ' },
    ])
  })
})
