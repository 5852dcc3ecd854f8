import { formatCount } from '../base/units.ts'
import { cell, tableLines } from './markdown-cells.ts'
import type { Proven } from './proof.ts'

type Tally = Proven['tables'][string]
type Column<T> = readonly [heading: string, count: (tally: T) => number]

/** Rows that are written out of a list; what is beyond is counted. */
const SHOWN = 100

/** The proof of the last pass: every table of both hosts adding up, sums, changed numbers, parked rows, and how to ask for one row. */
export function provenLines(proven: Proven): readonly string[] {
  const [source, target] = proven.source === 'old' ? (['old', 'new'] as const) : (['new', 'old'] as const)
  return [
    ...accounts(proven, source, target),
    ...sums(proven, source, target),
    ...pairs(proven.remapped, proven.remappedRows, {
      title: 'Numbers that changed',
      about: `Their numbers had been given to other rows on the ${target} host. What refers to them was rewritten; mails and papers that name the old number were not.`,
      head: ['table', `number on the ${source} host`, `number on the ${target} host`],
    }),
    ...pairs(proven.merged, proven.mergedRows, {
      title: 'Merged into one',
      about: 'Both hosts had them as one and the same thing, by its natural key or by your decision.',
      head: ['table', `on the ${source} host`, `on the ${target} host`],
    }),
    ...parked(proven),
    '### What became of one row',
    '',
    '`migrate reconcile PLAYBOOK --lookup TABLE KEY` says it, also when the old host has been switched off.',
  ]
}

/** Each line adds up: the rows are the sum of what stands right of them. */
function accounts({ tables }: Proven, source: string, target: string): readonly string[] {
  const left: readonly Column<Tally>[] = [
    [`rows on ${source}`, (each) => each.rows],
    ['same', (each) => each.same],
    ['carried', (each) => each.inserted],
    ['updated', (each) => each.updated],
    ['merged', (each) => each.merged],
    ['remapped', (each) => each.remapped],
    ['parked', (each) => each.parked],
    ['skipped', (each) => each.skipped],
    [`changed on ${target}`, (each) => each.kept],
    ['not accounted for', (each) => each.unaccounted],
    ['(deletions carried)', (each) => each.deleted],
  ]
  const right: readonly Column<Tally['target']>[] = [
    [`rows on ${target}`, (each) => each.rows],
    ['same', (each) => each.same],
    ['carried', (each) => each.carried],
    [`changed on ${target}`, (each) => each.changed],
    [`born on ${target}`, (each) => each.born],
    ['in conflict', (each) => each.conflicts],
    ['not accounted for', (each) => each.unaccounted],
  ]
  const names = Object.keys(tables)
  const all = Object.values(tables)
  return [
    `### Where every row of the ${source} host is`,
    '',
    ...accountTable(names, all, left),
    '',
    `### Where every row of the ${target} host is from`,
    '',
    ...accountTable(
      names,
      all.map((each) => each.target),
      right,
    ),
    '',
  ]
}

function accountTable<T>(names: readonly string[], tallies: readonly T[], columns: readonly Column<T>[]): readonly string[] {
  const total = columns.map(([, count]) => tallies.reduce((sum, each) => sum + count(each), 0))
  return tableLines(
    ['table', ...columns.map(([heading]) => heading)],
    [
      ...tallies.map((each, index) => [cell(names[index] ?? ''), ...columns.map(([, count]) => formatCount(count(each)))]),
      ...(tallies.length > 1 ? [['**all**', ...total.map(formatCount)]] : []),
    ],
    1,
  )
}

function sums({ tables }: Proven, source: string, target: string): readonly string[] {
  const rows = Object.entries(tables).flatMap(([name, { sums: all }]) =>
    all.map((each) => {
      const label = cell(`${name}.${each.column}`)
      if (each.source === '?' || each.target === '?')
        return [label, '?', '?', 'not known: it holds what is no plain decimal number']
      const { born, changed, carried, setAside } = each.because
      const causes = [
        [`born on ${target}`, born],
        [`changed on ${target}`, changed],
        ['merged by rule', carried],
        ['set aside', setAside],
      ] as const
      const why = causes.flatMap(([cause, amount]) => (isZero(amount) ? [] : [`${signed(amount)} ${cause}`]))
      const open = isZero(each.unexplained) ? [] : [`**${signed(each.unexplained)} not explained**`]
      return [label, each.source, each.target, [...why, ...open].join(', ') || 'equal']
    }),
  )
  if (rows.length === 0) return []
  return ['### Sums', '', ...tableLines(['column', `sum on ${source}`, `sum on ${target}`, 'difference'], rows), '']
}

const isZero = (decimal: string): boolean => /^-?0*(\.0*)?$/.test(decimal)
const signed = (decimal: string): string => (decimal.startsWith('-') ? `−${decimal.slice(1)}` : `+${decimal}`)

function pairs(
  all: Proven['remapped'],
  count: number,
  { title, about, head }: { readonly title: string; readonly about: string; readonly head: readonly string[] },
): readonly string[] {
  if (count === 0) return []
  const shown = all.slice(0, SHOWN).map(({ table, from, to }) => [cell(table), cell(from), cell(to)])
  return [
    `### ${title}`,
    '',
    about,
    '',
    ...tableLines(head, shown),
    ...more(
      count - shown.length,
      'All of them are in the ledger (the table migrate_ledger of the database that they were carried to).',
    ),
    '',
  ]
}

function parked({ parked: all, parkedRows, parkedFile }: Proven): readonly string[] {
  if (parkedRows === 0) return []
  const shown = all.slice(0, SHOWN).map(({ table, key, reason }) => [cell(table), cell(key), cell(reason)])
  return [
    '### Parked for you to decide',
    '',
    'Nothing of them was overwritten: `migrate reconcile PLAYBOOK --resolve` shows each with both hosts’ versions and asks.',
    '',
    ...tableLines(['table', 'row', 'why'], shown),
    ...more(parkedRows - shown.length, `All of them are in ${cell(parkedFile)}.`),
    '',
  ]
}

const more = (count: number, where: string): readonly string[] =>
  count <= 0 ? [] : ['', `… and ${formatCount(count)} more. ${where}`]
