import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type PlanView, planDisplay } from '../../src/cli/display/plan.ts'
import type { EventBody } from '../../src/run/events.ts'
import type { Phase, Step } from '../../src/run/step.ts'

const step = (id: string, phase: Phase, lasting = false): Step => ({
  id,
  title: `Title of ${id}`,
  phase,
  change: z.any(),
  check: async () => [],
  plan: async () => [],
  apply: async () => undefined,
  verify: async () => [],
  ...(lasting ? {} : { undo: async () => undefined }),
  describe: () => '',
})

const SQL = 'CREATE TABLE "public"."Customers" (\n  "CustomerID" integer NOT NULL,\n  "Email" character varying(120) NOT NULL\n)'
const SUMMARY = 'create table public.Customers'

/** What a plan of a create, a cutover and a merge looks like. */
function shown(what: PlanView, columns: number | undefined, bodies: readonly (readonly [string | null, EventBody])[]): string {
  let text = ''
  const display = planDisplay({
    write: (part) => {
      text += part
    },
    notice: () => undefined,
    passing: () => undefined,
    verbose: false,
    paint: (_colour, part) => part,
    ask: undefined,
    what,
    columns,
  })
  display.begin({
    name: 'shop',
    playbook: 'shop.yml',
    sequence: [[step('restore-database', 'prepare')], [step('cutover-dns', 'cutover')], [step('reconcile', 'settle', true)]],
  })
  for (const [id, body] of bodies) display.sink({ time: '2026-11-22T03:30:00.000Z', run: 'r', step: id, ...body })
  return text
}

const planned = (change: unknown, summary: string): EventBody =>
  ({ event: 'change', phase: 'planned', change, summary, undoable: true }) as EventBody

const PLAN: readonly (readonly [string | null, EventBody])[] = [
  [null, { event: 'started', playbook: 'shop', dryRun: true, resumed: false }],
  ['reconcile', { event: 'finding', severity: 'info', code: 'no-way-back', message: 'x' }],
  ['restore-database', { event: 'started', title: 'Restore' }],
  ['restore-database', planned({ kind: 'statement', sql: SQL }, SUMMARY)],
  ['restore-database', planned({}, 'set 5 identities')],
  ['cutover-dns', { event: 'started', title: 'Point DNS' }],
  ['cutover-dns', planned({}, '± MODIFY A shop.example 203.0.113.10 → 198.51.100.20')],
  ['reconcile', { event: 'started', title: 'Carry' }],
  ['reconcile', { event: 'done', seconds: 1, skipped: true }],
  [null, { event: 'finished', outcome: 'ok', exit: 0, seconds: 2 }],
]

describe('a plan', () => {
  it('names what is created and shows its SQL whole', () => {
    const text = shown('plan', undefined, PLAN)
    expect(text).toContain('• create table public.Customers\n')
    expect(text.match(/CREATE TABLE/g)).toHaveLength(1)
    expect(text).toContain('"Email" character varying(120) NOT NULL')
  })

  it('says where customers move, what can’t be taken back, and what isn’t known yet', () => {
    const text = shown('plan', undefined, PLAN)
    expect(text).toMatch(/2\. Point DNS \(cutover-dns\)\n\s+customers move to the new host here\n/)
    expect(text).toMatch(
      /3\. Carry \(reconcile\)\n\s+what this does stays: a rollback can’t take it back\n\s+what there is to do is known only when its turn comes\n/,
    )
  })

  it('ends in short, so that the last screen of a long plan tells it all', () => {
    const [, end = ''] = shown('plan', undefined, PLAN).split('In short\n')
    expect(end).toBe(
      [
        ' 1. restore-database   2 changes',
        ' 2. cutover-dns        customers move · ± MODIFY A shop.example 203.0.113.10 → 198.51.100.20',
        ' 3. reconcile          no way back · known when its turn comes',
        '',
        'The way back, at any time: migrate rollback shop.yml (what these do stays: reconcile)',
        '3 steps, 3 changes; no problems, no warnings (planned in 2 s). It can be run: migrate run shop.yml',
        '',
      ].join('\n'),
    )
  })

  it('is broken between words at the terminal’s width, with what follows indented', () => {
    const lines = shown('plan', 60, [
      ...PLAN.slice(0, 3),
      [
        'restore-database',
        planned({}, 'public.Orders.OrderID: old is at 10,547; new starts beyond 12,047 (headroom 1,500: given in the playbook)'),
      ],
      ...PLAN.slice(5),
    ]).split('\n')
    expect(lines.filter((line) => line.length > 60)).toEqual([])
    const first = lines.findIndex((line) => line.startsWith('      • public.Orders.OrderID'))
    expect(lines[first + 1]).toMatch(/^ {8}\S/)
  })

  it('breaks findings too', () => {
    const found: EventBody = {
      event: 'finding',
      severity: 'error',
      code: 'x',
      message: 'new database shop on 127.0.31.2 has a table public.Customers already, and this run didn’t make it.',
      hint: 'Give an empty database as new.database, or drop the table if it holds nothing that you need.',
    }
    const text = shown('check', 70, [['restore-database', found], ...PLAN.slice(-1)])
    expect(text.split('\n').filter((line) => line.length > 70)).toEqual([])
    expect(text).toMatch(/ {2}✖ problem {2}new database shop/)
    expect(text).toContain('Not ready to run: 1 problem')
  })
})

describe('a check', () => {
  it.each([
    ['info', /\nReady to run: no problems, no warnings \(2 s\)\. Next: migrate run shop\.yml --dry-run\n$/],
    ['error', /\nNot ready to run: 1 problem, no warnings \(2 s\)\. Mend the problems, and check again\.\n$/],
  ] as const)('ends with what to do next (%s)', (severity, end) => {
    const finding: EventBody = { event: 'finding', severity, code: 'x', message: 'Something.' }
    const text = shown('check', undefined, [...PLAN.slice(0, 1), [null, finding], ...PLAN.slice(-1)])
    expect(text).toMatch(end)
  })
})

describe('the plan of a rollback', () => {
  const bodies: readonly (readonly [string | null, EventBody])[] = [
    PLAN[0] ?? [null, { event: 'started' }],
    ['restore-database', planned({ sql: SQL }, `take back: ${SUMMARY}`)],
    [null, { event: 'started', playbook: 'shop', dryRun: true, resumed: true }],
    ['carry-back', { event: 'started', title: 'Carry the new host’s orders back' }],
    ['carry-back', planned({}, 'insert Orders: 3 rows')],
    [null, { event: 'finished', outcome: 'ok', exit: 0, seconds: 2 }],
  ]

  it('says what it is, without the SQL of long ago, and with which command it would be done', () => {
    const text = shown('rollback', undefined, bodies)
    expect(text).toMatch(/^What a rollback of shop would take back, newest first\. Nothing is changed by showing it\.\n/)
    expect(text.match(/Nothing is changed/g)).toHaveLength(1)
    expect(text).toContain('• take back: create table public.Customers\n')
    expect(text).not.toContain('CREATE TABLE')
    expect(text).toContain('Carry the new host’s orders back (carry-back)')
    expect(text).toMatch(/\n2 changes in 2 steps\. To take them back: migrate rollback shop\.yml\n$/)
  })
})

describe('the plan of a merge', () => {
  const item = (action: string, table: string, key: string, targetKey: string | null = null): object => ({
    ...{ table, key: JSON.stringify([key]), targetKey: targetKey === null ? null : JSON.stringify([targetKey]), action },
    ...{ found: 'a', expect: null, base: ['', ''] },
  })
  const carry = (...items: readonly object[]): EventBody =>
    planned({ kind: 'carry', cyclic: false, early: false, items }, 'one batch')
  const orders = (from: number, to: number): readonly object[] =>
    Array.from({ length: to - from }, (_, index) => item('insert', 'public.Orders', String(from + index)))
  const parked = (key: string, reason: string): object => ({
    ...{ table: 'public.Customers', key: JSON.stringify([key]), targetKey: null, reason, born: false, source: 'a', target: 'b' },
  })
  const bodies: readonly (readonly [string | null, EventBody])[] = [
    PLAN[0] ?? [null, { event: 'started' }],
    ['reconcile', { event: 'started', title: 'Carry' }],
    ['reconcile', carry(...orders(10_000, 10_500))],
    ['reconcile', carry(...orders(10_500, 11_393))],
    ['reconcile', carry(item('remap', 'public.Orders', '10499', '11502'), item('match', 'public.Customers', '12', '7'))],
    ['reconcile', carry(item('merge', 'public.Products', '1', '1'))],
    [
      'reconcile',
      planned({ kind: 'park', settled: [], items: [parked('5', 'Changed on both hosts'), parked('6', 'Deleted')] }, 'park'),
    ],
    ['reconcile', { event: 'done', seconds: 1 }],
    [null, { event: 'finished', outcome: 'ok', exit: 0, seconds: 2 }],
  ]

  it('is told by table and action, with counts, examples, both numbers and the reasons, however many batches it has', () => {
    const lines = shown('reconcile', undefined, bodies).split('\n')
    expect(lines[0]).toBe('What reconcile would carry over for shop. Nothing is changed by showing it.')
    expect(lines.filter((line) => line.includes('•'))).toEqual([
      expect.stringMatching(/• insert 1,393 rows of public\.Orders: 10000, 10001, .*, 10011, …$/),
      expect.stringMatching(/• give a fresh number, .*, to 1 row of public\.Orders: 10499 → 11502$/),
      expect.stringMatching(/• merge into the same .*, 1 row of public\.Customers: 12 → 7$/),
      expect.stringMatching(/• merge both hosts' versions by the playbook's rules, 1 row of public\.Products: 1$/),
      expect.stringMatching(/• park for you to decide 2 rows of public\.Customers: 5 \(Changed on both hosts\); 6 \(Deleted\)$/),
    ])
    expect(lines.at(-2)).toMatch(/^no problems, no warnings .*To carry it over: migrate reconcile shop\.yml$/)
  })

  it('stays within the terminal', () => {
    expect(
      shown('reconcile', 60, bodies)
        .split('\n')
        .filter((line) => line.length > 60),
    ).toEqual([])
  })
})
