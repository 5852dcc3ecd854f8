import { describe, expect, it } from 'vitest'
import { ReportFold } from '../../src/report/data.ts'
import { renderMarkdown } from '../../src/report/markdown.ts'
import type { JournalEntry, JournalRecord } from '../../src/run/records.ts'

const started: JournalRecord = {
  ...{ type: 'run-started', run: 'r', playbook: 'shop', hash: 'x', binding: { playbook: {}, endpoints: {} }, steps: [] },
}
const none = { inserted: 0, updated: 0, deleted: 0, merged: 0, remapped: 0, parked: 0 }
const pass = (inserted: number, more: object, rows = 9): JournalRecord => ({
  ...{ type: 'observed', step: 'reconcile' },
  body: {
    ...{ event: 'reconciled', pass: 1, tables: { Orders: { ...none, inserted } }, headroom: [] },
    ...{ proof: { rows, accounted: rows, unaccounted: 0 }, ...more },
  },
})

function reported(...records: readonly JournalRecord[]) {
  const entries = [started, ...records].map(
    (record, index): JournalEntry => ({
      ...{ n: index + 1, fence: 1, time: '2026-11-22T03:30:00.000Z', record },
    }),
  )
  const fold = new ReportFold(undefined)
  for (const entry of entries) fold.add(entry)
  const data = fold.result()
  if (data === undefined) throw new Error('no report')
  return { data, text: renderMarkdown(data) }
}

it('names the first of very many changes of one step and the last, and counts the others', () => {
  const changes = Array.from({ length: 5000 }, (_, index): readonly JournalRecord[] => [
    { type: 'change-begun', step: 'carry-files', change: index, summary: `carry f${index} and 999 more`, undoable: true },
    { type: 'change-applied', of: 2 * index + 2 },
  ])
  const { text } = reported(...changes.flat(), { type: 'change-undoing', of: 2 }, { type: 'change-undone', of: 2 })
  const told = text.split('\n').filter((line) => line.includes('| carry-files |'))
  expect(told).toHaveLength(22)
  expect(told[0]).toContain('| carry f0 and 999 more |')
  expect(told.slice(-2).join()).toMatch(/… and 4,980 more, the last of them: carry f4999 and 999 more .*taken back: carry f0/)
})

describe('what a report makes of the passes', () => {
  it('adds up what cheap passes and full ones carried, and takes the proof from the last full one', () => {
    const { text } = reported(pass(2, { newOnly: true }, 2), pass(5, {}, 54_321), pass(1, { newOnly: true }, 1))
    expect(text).toContain('| Orders | 8 | 0 | 0 | 0 | 0 | 0 |')
    expect(text).toContain("Proof: every one of the old host's 54,321 rows is accounted for.")
  })

  it('proves nothing by cheap passes alone, and says what is to be done', () => {
    const { data, text } = reported(pass(2, { newOnly: true }, 2))
    expect(text).toContain('| Orders | 2 | 0 | 0 | 0 | 0 | 0 |')
    expect(text).toContain('No full pass has compared the hosts yet')
    expect(text).not.toContain('Proof:')
    expect(data.did.reconcile).toBe(false)
  })

  it('names the new host for a way back, without what was carried forward before', () => {
    const { data, text } = reported(pass(5, {}), pass(3, { from: 'new' }, 7))
    expect(data.reconciled).toMatchObject({ from: 'new', proof: { rows: 7 } })
    expect(text).toContain('## Rows carried over from the new host')
    expect(text).toContain('| Orders | 3 | 0 | 0 | 0 | 0 | 0 |')
  })
})

describe('what a report says is still to be done', () => {
  const two: JournalRecord = {
    ...{ type: 'run-started', run: 'r', playbook: 'shop', hash: 'x', binding: { playbook: {}, endpoints: {} } },
    steps: ['check', 'cutover-dns'].map((id) => ({ id, title: `Title of ${id}`, phase: 'prepare', undoable: true })),
  }
  const finished = (step: string): JournalRecord => ({ type: 'step-finished', step, skipped: false, seconds: 1, figures: {} })
  const ended: JournalRecord = { type: 'run-finished', outcome: 'ok', exit: 0, seconds: 1 }

  it('says that the move isn’t through, and never calls it done, as long as steps are still to come', () => {
    const { text } = reported(two, finished('check'), ended)
    expect(text).toContain('Ended 2026-11-22 03:30:00: done as far as was asked.')
    expect(text).toContain('- [ ] Go on: `migrate run PLAYBOOK`. The move isn’t through: Title of cutover-dns.')
    const { text: whole } = reported(two, finished('check'), finished('cutover-dns'), ended)
    expect(whole).toContain('Ended 2026-11-22 03:30:00: done.')
    expect(whole).not.toContain('isn’t through')
  })

  it('points nobody forward after a rollback', () => {
    expect(reported(two, finished('check'), { type: 'rollback-started', run: 'r' }).text).not.toContain('isn’t through')
  })

  it('names each record whose TTL was lowered, and the TTL that it had', () => {
    const { text } = reported(
      {
        ...{ type: 'fact', key: 'ttl-lowered' },
        value: {
          ...{ at: 1, oldTtlSeconds: 3600, done: true },
          ttls: [
            { name: 'shop.example', type: 'A', from: 3600, to: 60 },
            { name: 'www.shop.example', type: 'CNAME', from: 1, to: 60 },
          ],
        },
      },
      { ...{ type: 'change-begun', step: 'lower-ttl', change: {} }, summary: 'lower', undoable: true },
    )
    expect(text).toContain(
      '- [ ] Raise the TTL of the DNS records again: A shop.example from 60 s to 3600 s; CNAME www.shop.example from 60 s to automatic.',
    )
  })
})
