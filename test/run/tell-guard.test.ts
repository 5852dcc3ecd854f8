import { describe, expect, it } from 'vitest'
import type { EventBody } from '../../src/run/events.ts'
import { type RunOptions, runSequence } from '../../src/run/runner.ts'
import { tellOfRun } from '../../src/run/tell-after.ts'
import { Conditions } from '../../src/run/tell-conditions.ts'
import { topicOfFinding, usualTopics } from '../../src/run/tell-topics.ts'
import { readEntries } from './entries.ts'
import { putStep, runOver, Shelf } from './shelf.ts'
import { hook, titles } from './tell-hook.ts'

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

describe('what waits on the new host after the way back', () => {
  const DUE: EventBody = {
    event: 'finding',
    severity: 'error',
    code: 'carry-back-due',
    message: 'Customers are sent to the old host again. What they ordered on the new host waits there.',
  }

  it('is told once, kept in the journal, and told to be over when it has been carried, by whichever process', async () => {
    const ops = hook()
    const shelf = new Shelf()
    const { options, events } = await runOver([[putStep(shelf, { id: 'copy', puts: { a: '1' } })]], { hooks: [ops] })
    const { runId } = await runSequence({ ...options, isPart: true })
    await tellOfRun(options, runId, DUE)
    await tellOfRun(options, runId, DUE)
    expect(titles(ops)).toEqual(['shelf: problem: Customers are sent to the old host again'])
    expect(ops.notices[0]).toMatchObject({ topic: 'guard', severity: 'error', code: 'carry-back-due', run: runId })
    expect(events.filter((event) => event.event === 'finding')).toHaveLength(2)
    const kept = ((await readEntries(options.directory)) ?? []).map(({ record }) => record)
    expect(kept).toContainEqual(expect.objectContaining({ type: 'finding', step: null, code: 'carry-back-due' }))

    await runSequence({ ...options, sequence: [[putStep(shelf, { id: 'carry-back', puts: { b: '2' } })]], isPart: true })
    expect(titles(ops)).toEqual(['shelf: problem: Customers are sent to the old host again', 'shelf: carried back'])
    await tellOfRun(options, runId, DUE)
    expect(ops.notices).toHaveLength(3)
  })

  it('is shown all the same while another process holds the run, which tells people itself', async () => {
    const ops = hook()
    let beside: RunOptions | undefined
    const step = putStep(new Shelf(), {
      id: 'copy',
      puts: { a: '1' },
      before: async () => {
        if (beside !== undefined) await tellOfRun(beside, 'run', DUE)
      },
    })
    const { options, events } = await runOver([[step]], { hooks: [ops] })
    beside = options
    await runSequence({ ...options, isPart: true })
    expect(events.filter((event) => event.event === 'finding')).toMatchObject([{ code: 'carry-back-due', step: null }])
    expect(ops.notices).toEqual([])
  })
})
