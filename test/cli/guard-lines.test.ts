import { describe, expect, it } from 'vitest'
import { eventLines } from '../../src/cli/display/words.ts'
import type { EventBody, RunEvent } from '../../src/run/events.ts'

type Guard = Extract<EventBody, { readonly event: 'guard' }>

const guard = (more: Partial<Guard> = {}): RunEvent => ({
  time: '2026-11-22T09:31:15.000Z',
  run: 'r',
  step: 'guard',
  event: 'guard',
  state: 'well',
  watched: ['site', 'database', 'orders'],
  faults: [],
  since: null,
  decidesAt: null,
  failback: 'offer',
  orders: { perMinute: null, expected: null },
  ...more,
})

describe('the guard on the screen', () => {
  it('says what is looked at and how many orders come, and in a log nothing as long as all is well', () => {
    const orders = { perMinute: 5.04, expected: 6 }
    expect(eventLines(guard({ orders }), true)).toEqual([
      'new host well (site, database, orders) · 5 orders/min of about 6 expected',
    ])
    expect(eventLines(guard(), false)).toEqual([])
  })

  it('says what is wrong since when, and when that counts', () => {
    const failing = {
      faults: [{ what: 'site', message: '/ answers with status 500' }],
      since: '2026-11-22T09:30:00.000Z',
    }
    expect(
      eventLines(guard({ ...failing, state: 'failing', decidesAt: '2026-11-22T09:32:00.000Z', failback: 'auto' }), false),
    ).toEqual([
      'new host fails (site, database, orders)',
      'failing since 09:30:00 UTC: / answers with status 500; it counts from 09:32:00 UTC on: then it goes back',
    ])
    expect(eventLines(guard({ ...failing, state: 'failed' }), false)).toEqual([
      'new host has failed (site, database, orders)',
      'failing since 09:30:00 UTC: / answers with status 500',
    ])
  })
})
