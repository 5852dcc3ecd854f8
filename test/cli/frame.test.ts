import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { mapTexts } from '../../src/base/texts.ts'
import { frame } from '../../src/cli/display/frame.ts'
import { legible } from '../../src/cli/display/legible.ts'
import { ScreenModel } from '../../src/cli/display/model.ts'
import { nameFrom } from '../../src/files/raw-names.ts'
import type { EventBody } from '../../src/run/events.ts'
import type { Phase, Step } from '../../src/run/step.ts'

const START = Date.parse('2026-11-22T03:30:00Z')

const step = (id: string, phase: Phase = 'prepare', lasting = false): Step => ({
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

const modelOf = (count: number): ScreenModel =>
  new ScreenModel('shop', 'shop.yml', [
    Array.from({ length: count }, (_, index) =>
      step(`step-${index + 1}`, index > count / 2 ? 'settle' : index === count / 2 ? 'cutover' : 'prepare', index === 3),
    ),
  ])

const tell = (model: ScreenModel, id: string | null, body: EventBody, seconds = 0): void =>
  model.add({ time: new Date(START + seconds * 1000).toISOString(), run: 'r', step: id, ...body })

const draw = (model: ScreenModel, size: { readonly columns?: number; readonly rows?: number }, seconds = 0): readonly string[] =>
  frame(model, {
    columns: size.columns ?? 100,
    ...(size.rows === undefined ? {} : { rows: size.rows }),
    spinner: '*',
    now: START + seconds * 1000,
    paint: (_colour, text) => text,
  })

describe('the screen', () => {
  it('tells problems from warnings', () => {
    const model = modelOf(2)
    for (const severity of ['error', 'warning', 'warning'] as const)
      tell(model, 'step-1', { event: 'finding', severity, code: 'x', message: 'm' })
    expect(draw(model, {})).toContain(' · Title of step-1 · 1 problem · 2 warnings')
  })

  it('shows names as a terminal can: bytes that aren’t UTF-8, and characters that would move the cursor, spelt out', () => {
    const model = modelOf(2)
    const name = `${nameFrom(Buffer.from('caf\xe9', 'latin1'))}/\u001b[2J\u009b1m.jpg`
    const shown = (body: EventBody): void => tell(model, 'step-1', mapTexts(body, legible))
    shown({ event: 'started' })
    shown({ event: 'progress', done: 1, total: 2, unit: 'files', item: name })
    shown({ event: 'change', phase: 'applying', change: null, undoable: true, summary: `put ${name}` })
    const lines = draw(model, {}).join('\n')
    expect(lines).toContain('· caf\\xE9/\\x1B[2J\\x9B1m.jpg')
    expect(lines).toContain('put caf\\xE9/')
    expect(lines).not.toMatch(/[\u{10fe80}-\u{10feff}\u009b]/u)
  })

  it('adds up what is carried over as it comes, beside the figures of the watch', () => {
    const model = modelOf(2)
    const none = { inserted: 0, updated: 0, deleted: 0, merged: 0, remapped: 0, parked: 0 }
    const pass = (tables: Readonly<Record<string, number>>): EventBody => ({
      ...{ event: 'reconciled', pass: 1, newOnly: true, headroom: [], proof: { rows: 3, accounted: 3, unaccounted: 0 } },
      tables: Object.fromEntries(Object.entries(tables).map(([name, inserted]) => [name, { ...none, inserted }])),
    })
    tell(model, 'step-1', { event: 'started' })
    tell(model, 'step-1', pass({ Orders: 1, OrderItems: 2 }))
    tell(model, 'step-1', pass({ Orders: 1392 }))
    const traffic = { ordersPerMinute: 3, hitsPerMinute: null }
    const watch = { resolvers: { agreed: 1, total: 2 }, old: traffic, new: traffic, headroom: [], drained: false }
    tell(model, 'step-1', { event: 'watch', ...watch })
    const lines = draw(model, {})
    expect(lines).toContainEqual(
      expect.stringMatching(/^ {5}carried over as they came: Orders 1,393 · OrderItems 2 · last at \d\d:\d\d:\d\d UTC$/),
    )
    expect(lines).toContainEqual(expect.stringContaining('1 of 2 resolvers'))
  })

  it('says how to decide when rows are parked', () => {
    const model = modelOf(1)
    tell(model, 'step-1', { event: 'done', seconds: 1 })
    tell(model, null, { event: 'finished', outcome: 'parked', exit: 3, seconds: 4 })
    expect(draw(model, {})).toContain(
      ' Done, with rows or files parked for a person (4 s). Decide:  migrate reconcile shop.yml --resolve',
    )
  })

  it('says which steps were not run when the end of the playbook wasn’t asked for', () => {
    const model = modelOf(3)
    tell(model, 'step-1', { event: 'done', seconds: 1 })
    tell(model, null, { event: 'finished', outcome: 'ok', exit: 0, seconds: 4 })
    expect(draw(model, {}).slice(-3)).toEqual([
      ' Done as far as was asked (4 s).',
      ' Not run this time: Title of step-2, and what follows.',
      ' Go on:  migrate run shop.yml',
    ])
  })

  it('shows of a rollback what was taken back, and steps of its own', () => {
    const model = new ScreenModel('shop', 'shop.yml', [[step('step-1'), step('step-2')]], 'rollback')
    tell(model, null, { event: 'started', playbook: 'shop', resumed: true })
    tell(model, 'step-2', { event: 'change', phase: 'undone', change: {}, summary: 'point DNS', undoable: true })
    tell(model, 'carry-back', { event: 'started', title: 'Carry orders back' })
    const lines = draw(model, { rows: 20 })
    expect(lines[0]).toMatch(/^migrate · shop · rollback +1 step taken back · 1 s$/)
    expect(lines.slice(2, 5).map((line) => line.trimEnd())).toEqual([
      ' ↶ Title of step-2',
      '     taken back: point DNS',
      expect.stringMatching(/^ \* Carry orders back/),
    ])
    expect(lines.join('\n')).not.toMatch(/Next:|step-1|Checking/)
  })

  it('shows bytes, rate and time left under the step at work', () => {
    const model = modelOf(4)
    tell(model, 'step-1', { event: 'started', title: 'x' })
    tell(model, 'step-1', { event: 'progress', done: 0, total: 100 * 2 ** 20, unit: 'bytes' })
    tell(
      model,
      'step-1',
      { event: 'progress', done: 20 * 2 ** 20, total: 100 * 2 ** 20, unit: 'bytes', item: 'images/a.png' },
      10,
    )
    expect(draw(model, { rows: 30 }, 10)).toContain('     20.0 MiB of 100 MiB · 20 % · 2.00 MiB/s · 40 s left · images/a.png')
  })

  it('says what comes next, before what customers notice nothing, and how to go back', () => {
    const model = modelOf(8)
    tell(model, 'step-1', { event: 'started' })
    const lines = draw(model, { rows: 30 })
    expect(lines).toContain(' Next: Title of step-2.')
    expect(lines).toContain(' Customers notice nothing before: Title of step-5.')
    expect(lines.at(-1)).toBe(' Ctrl-C stops safely. Way back: migrate rollback shop.yml')
  })

  it('breaks the way back between words rather than cutting it off, in a terminal that is too narrow for it', () => {
    const playbook = '/home/ada/moving-the-shop-today/mugs.yml'
    const model = new ScreenModel('mugs', playbook, [[step('step-1')]])
    tell(model, 'step-1', { event: 'started' })
    expect(draw(model, { rows: 30, columns: 80 }).slice(-2)).toEqual([
      ' Ctrl-C stops safely.',
      ` Way back: migrate rollback ${playbook}`,
    ])
    tell(model, null, { event: 'finished', outcome: 'interrupted', exit: 130, seconds: 4 })
    expect(draw(model, { columns: 80 }).slice(-2)).toEqual([
      ' Interrupted at a safe point; run again to resume (4 s).',
      ` See  migrate status ${playbook}`,
    ])
  })

  it('names no command in the demo that would need what is gone with it', () => {
    const model = new ScreenModel('demo', '/tmp/migrate-demo-x/playbook.yml', [[step('report')]], 'demo')
    tell(model, 'report', { event: 'started' })
    expect(draw(model, { rows: 30 }).at(-1)).toBe(
      ' Ctrl-C stops safely. Way back in a run of your own: migrate rollback shop.yml',
    )
    tell(model, 'report', { event: 'done', seconds: 1 })
    tell(model, null, { event: 'finished', outcome: 'ok', exit: 0, seconds: 4 })
    expect(draw(model, {}).join('\n')).not.toContain('/tmp')
  })

  it('says at the end of a whole run where to read what is left to do', () => {
    const model = new ScreenModel('mugs', 'mugs.yml', [[step('report')]])
    tell(model, 'report', { event: 'done', seconds: 1 })
    tell(model, null, { event: 'finished', outcome: 'ok', exit: 0, seconds: 4 })
    expect(draw(model, {}).at(-1)).toBe(' Done (4 s). What is left to do:  migrate report mugs.yml')
  })

  it('says of a rehearsal that customers notice nothing, and of no way back that is another run’s', () => {
    const model = new ScreenModel('mugs', 'mugs.yml', [[step('step-1'), step('step-2')]], 'rehearsal')
    tell(model, 'step-1', { event: 'started' })
    const text = draw(model, { rows: 30 }).join('\n')
    expect(text).toContain('Next: Title of step-2.')
    expect(text).toMatch(/Customers notice nothing, and all of it is removed in the end, after Ctrl-C too\./)
    expect(text).not.toContain('rollback')
  })

  it('shows the watch: resolvers, both hosts, and the headroom that runs out first', () => {
    const model = modelOf(2)
    tell(model, 'step-1', { event: 'started' })
    tell(model, 'step-1', {
      event: 'watch',
      resolvers: { agreed: 7, total: 11 },
      old: { ordersPerMinute: 3, hitsPerMinute: null },
      new: { ordersPerMinute: 12, hitsPerMinute: 1400 },
      headroom: [
        { table: 'A', column: 'Id', used: '1', left: '99', runsOutAt: null },
        { table: 'Orders', column: 'OrderID', used: '1393', left: '107', runsOutAt: '2026-11-22T04:40:00.000Z' },
      ],
      drained: false,
      quiet: { seconds: 720, of: 1800 },
      lagging: [
        { server: 'a', says: 'x', ttlLeftSeconds: null },
        { server: 'b', says: 'x', ttlLeftSeconds: 30 },
        { server: 'Quad9', says: 'x', ttlLeftSeconds: 130 },
      ],
    })
    const text = draw(model, { rows: 30, columns: 120 }).join('\n')
    expect(text).toContain(
      '7 of 11 resolvers give the new address · still the old one: Quad9 for 2 min 10 s more, b for 30 s more and 1 more',
    )
    expect(text).toContain('old host quiet for 12 min 00 s of 30 min 00 s')
    expect(text).toContain('old host 3 orders/min · new host 12 orders/min, 1,400 hits/min')
    expect(text).toContain(
      'headroom Orders.OrderID: used 1,393, left 107, runs out in 1 h 10 min (2026-11-22 04:40 UTC) · another has more',
    )
  })

  it('shows in the watch which host gives no answer, and when rows were last carried over', () => {
    const model = modelOf(2)
    const figures = { ordersPerMinute: 3, hitsPerMinute: null }
    const silent = { ordersPerMinute: null, hitsPerMinute: null, unanswered: ['database', 'access logs'] }
    const watch = (more: object): EventBody => ({
      ...{ event: 'watch', resolvers: { agreed: 1, total: 1 }, old: silent, new: figures, headroom: [], drained: false },
      ...more,
    })
    tell(model, 'step-1', { event: 'started' })
    tell(model, 'step-1', { event: 'note', message: 'another answer', inFigures: true })
    tell(
      model,
      'step-1',
      watch({ quiet: { seconds: 0, of: 6 }, carrying: { lastAt: '2026-11-22T03:29:58.000Z', failing: false } }),
    )
    const lines = draw(model, { rows: 30 })
    expect(lines).toContain('     old host NO ANSWER from its database and access logs · new host 3 orders/min')
    expect(lines).toContain('     old host quiet for 0 s of 6 s')
    expect(lines).toContain('     last pass that looked for rows to carry over: at 03:29:58 UTC')
    expect(lines.join()).not.toContain('another answer')
    tell(model, 'step-1', watch({ old: figures, carrying: { lastAt: null, failing: true } }))
    expect(draw(model, { rows: 30 }).join()).toContain('PAUSED')
  })

  it('fits the terminal whatever is going on, and shows each step at work', () => {
    const state = fc.constantFrom('waiting', 'started', 'done', 'failed')
    fc.assert(
      fc.property(
        fc.array(state, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 12, max: 60 }),
        fc.integer({ min: 40, max: 160 }),
        (states, rows, columns) => {
          const model = modelOf(states.length)
          for (const [index, each] of states.entries()) {
            const id = `step-${index + 1}`
            if (each !== 'waiting') tell(model, id, { event: 'started' })
            tell(model, id, { event: 'finding', severity: 'warning', code: 'c', message: 'long '.repeat(30), hint: 'do' })
            if (each === 'done') tell(model, id, { event: 'done', seconds: 1 })
            if (each === 'failed') tell(model, id, { event: 'failed', seconds: 1, code: 'c', message: 'why '.repeat(40) })
          }
          const lines = draw(model, { rows, columns })
          expect(lines.length).toBeLessThanOrEqual(rows)
          for (const line of lines) expect([...line].length).toBeLessThanOrEqual(columns)
          const busy = states.filter((each) => each === 'started' || each === 'failed').length
          if (busy <= 2) expect(lines.filter((line) => /^ [*✖] Title/.test(line))).toHaveLength(busy)
        },
      ),
    )
  })

  it('leaves every step with its findings in the terminal at the end', () => {
    const model = modelOf(40)
    tell(model, 'step-2', {
      event: 'finding',
      severity: 'warning',
      code: 'c',
      message: 'The certificate ends soon.',
      hint: 'Renew it.',
    })
    for (let index = 1; index <= 40; index += 1) tell(model, `step-${index}`, { event: 'done', seconds: 1 })
    tell(model, null, { event: 'finished', outcome: 'ok', exit: 0, seconds: 75 })
    const lines = draw(model, {})
    expect(lines.filter((line) => line.includes('✔ Title of step-'))).toHaveLength(40)
    expect(lines.join('\n')).toContain('warning: The certificate ends soon.')
    expect(lines.at(-1)).toBe(' Done (1 min 15 s).')
  })
})
