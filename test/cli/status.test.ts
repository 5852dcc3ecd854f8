import { describe, expect, it } from 'vitest'
import { statusText } from '../../src/cli/status-text.ts'
import type { Status, StepSummary } from '../../src/run/status.ts'

type Run = Extract<Status, { readonly state: 'run' }>

const summary = (id: string, more: Partial<StepSummary> = {}): StepSummary => ({
  id,
  title: `Title of ${id}`,
  phase: 'prepare',
  undoable: true,
  status: 'finished',
  begun: 1,
  applied: 1,
  undone: 0,
  ...more,
})

const runOf = (more: Partial<Run>): Run => ({
  state: 'run',
  run: 'r',
  playbook: 'shop',
  endpoints: {},
  startedAt: '2026-11-22T03:30:12.345Z',
  outcome: 'ok',
  endedAt: '2026-11-22T04:00:00.000Z',
  rollback: 'none',
  steps: [summary('restore-files'), summary('cutover-dns', { phase: 'cutover' })],
  failure: null,
  next: null,
  cutOver: false,
  goingBack: null,
  wayBack: { undoable: 1, remaining: [] },
  torn: false,
  ...more,
})

const text = (more: Partial<Run>): string => statusText(runOf(more), 'shop', 'shop.yml')

describe('status', () => {
  it('says before the cutover that everything can be taken back', () => {
    const said = text({ steps: [summary('restore-files'), summary('cutover-dns', { status: 'waiting' })], next: 'cutover-dns' })
    expect(said).toMatch(/^Run r of shop, begun 2026-11-22 03:30 UTC: done as far as was asked; 1 step still to come\.\n/)
    expect(said).toContain('Customers are on the old host.\nNext: Title of cutover-dns. To go on:  migrate run shop.yml\n')
    expect(said).toMatch(/migrate rollback shop\.yml {2}takes back 1 change\.$/)
  })

  it('says after the cutover what going back means', () => {
    const said = text({ cutOver: true, wayBack: { undoable: 2, remaining: ['insert Orders: 3 rows'] } })
    expect(said).toContain('Customers may be on the new host.')
    expect(said).toContain("moves DNS back and carries the new host's orders to the old one")
    expect(said).toContain("It can't take back: insert Orders: 3 rows.")
  })

  it('names the first of many things that can’t be taken back, and counts the rest', () => {
    const remaining = ['a', 'b', 'c', 'd', 'e']
    expect(text({ cutOver: true, wayBack: { undoable: 2, remaining } })).toContain("It can't take back: a; b; c; and 2 more.")
  })

  it('calls a step that was interrupted stopped, not failed', () => {
    const failure = { step: 'restore-files', code: 'interrupted', message: 'Stopped, as asked.', hint: undefined, time: '' }
    const said = text({ steps: [summary('restore-files', { status: 'failed' })], outcome: 'interrupted', failure })
    expect(said).toContain(' ■ Title of restore-files (restore-files)')
    expect(said).toContain('Stopped in restore-files: Stopped, as asked.')
    expect(said).not.toMatch(/Failed|✖/)
  })

  it('tells a run that is at work from one whose process is gone', () => {
    const run = runOf({ outcome: null, steps: [summary('restore-files', { status: 'running' })] })
    expect(statusText(run, 'shop', 'shop.yml', true)).toContain('at work now.')
    expect(statusText(run, 'shop', 'shop.yml', false)).toContain('cut off: its process is gone; run again to resume.')
  })

  it('says how to decide about parked rows', () => {
    expect(text({ outcome: 'parked', cutOver: true })).toContain(
      'To decide about what is parked:  migrate reconcile shop.yml --resolve\n',
    )
  })

  it('points nobody forward after a way back from the cutover', () => {
    const cutover = summary('cutover-dns', { phase: 'cutover', status: 'undone', applied: 0, undone: 1 })
    const said = text({ steps: [summary('restore-files'), cutover], next: 'cutover-dns' })
    expect(said).toContain('taken back after its cutover.')
    expect(said).toContain('Customers are on the old host again')
    expect(said).toContain('migrate rollback shop.yml  carries them over too')
    expect(said).not.toMatch(/Next:|takes back/)
  })

  it('says what was decided when the new host failed, and what is still to be done about it', () => {
    const goingBack = {
      decision: 'back',
      by: 'guard',
      at: '2026-11-22T03:59:00.000Z',
      reason: 'its disk is full',
      cutoverAt: 1,
    } as const
    const undone = [summary('cutover-dns', { phase: 'cutover', status: 'undone', undone: 1 })]
    expect(text({ goingBack, cutOver: true, outcome: 'failed' })).toMatch(/going back to the old host, not done yet; run again/)
    const due = text({ goingBack, steps: undone, outcome: 'failed' })
    expect(due).toContain('At 2026-11-22 03:59 UTC the guard decided to go back: its disk is full.')
    expect(due).toContain('What they ordered on the new host is not all on the old one yet.')
    const done = text({ goingBack, steps: undone })
    expect(done).toContain('taken back after its cutover')
    expect(done).not.toContain('not all on the old one')
  })
})
