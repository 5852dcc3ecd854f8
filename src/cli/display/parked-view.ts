import { stripVTControlCharacters } from 'node:util'
import { keyLabel } from '../../reconcile/fingerprint.ts'
import type { ParkedRow } from '../../reconcile/parked.ts'
import { type Paint, wrap } from './frame.ts'

export type Cells = Readonly<Record<string, string | null>>

export interface ParkedViewOptions {
  readonly columns: number
  readonly paint: Paint
  /** Which of how many. */
  readonly number: number
  readonly total: number
  /** The host that the row comes from: the new one on the way back. */
  readonly from: 'old' | 'new'
  /** The row that is in its way, as it stands on the host that receives. */
  readonly collided?: Cells | undefined
}

/** Columns that are alike everywhere and shown all the same, so that one knows the row again. */
const ALIKE_SHOWN = 6
/** Lines that one value may take. */
const VALUE_LINES = 4

interface Version {
  readonly title: string
  readonly cells: Cells | null
}

/** A parked row side by side as both hosts have it and as both last had it, with what differs marked. */
export function parkedView(row: ParkedRow, options: ParkedViewOptions): readonly string[] {
  const { paint, number, total } = options
  const versions = versionsOf(row, options)
  const names = namesOf(versions)
  const differing = names.filter((name) => isDifferent(name, versions))
  const alike = names.filter((name) => !differing.includes(name))
  const shown = names.filter((name) => differing.includes(name) || alike.indexOf(name) < ALIKE_SHOWN)
  const nameWidth = Math.min(24, Math.max(6, ...shown.map((name) => name.length)))
  const width = Math.max(8, Math.floor((options.columns - 4 - nameWidth) / versions.length) - 2)
  const line = (mark: string, cells: readonly string[]): string =>
    ` ${mark} ${[padded(cells[0] ?? '', nameWidth), ...cells.slice(1).map((cell) => padded(cell, width))].join('  ')}`.trimEnd()
  const rows = shown.flatMap((name) => {
    const isMarked = differing.includes(name)
    const values = versions.map(({ cells }) => broken(shownValue(cells, name), width))
    const height = Math.max(...values.map((parts) => parts.length))
    return Array.from({ length: height }, (_, index) => {
      const text = line(isMarked && index === 0 ? '≠' : ' ', [
        index === 0 ? name : '',
        ...values.map((parts) => parts[index] ?? ''),
      ])
      return isMarked ? paint('yellow', text) : text
    })
  })
  const more = names.length - shown.length
  return [
    `${paint('bold', `${row.table} ${keyLabel(row.key)}`)}   ${paint('dim', `${number} of ${total}`)}`,
    ...wrap(visible(row.reason), options.columns).map((text) => paint('dim', text)),
    '',
    paint('dim', line(' ', ['', ...versions.map((each) => each.title)])),
    ...rows,
    ...(more > 0 ? [paint('dim', `   … and ${more} more ${more === 1 ? 'column that is' : 'columns that are'} alike`)] : []),
    ...note(row)
      .flatMap((text) => wrap(text, options.columns))
      .map((text) => paint('dim', text)),
  ]
}

const note = ({ baseRow, baseNote }: ParkedRow): readonly string[] =>
  baseRow === null && baseNote !== null ? ['', visible(baseNote)] : []

function versionsOf(row: ParkedRow, { from, collided }: ParkedViewOptions): readonly Version[] {
  const source: Version = { title: from === 'old' ? 'old host' : 'new host', cells: row.sourceRow }
  const target: Version = { title: from === 'old' ? 'new host' : 'old host', cells: row.targetRow }
  const base: Version = { title: 'both last had', cells: row.baseRow }
  const other = collided === undefined ? [] : [{ title: `in its way: ${keyLabel(row.collision?.key ?? '[]')}`, cells: collided }]
  // What is the same thing nowhere else has nothing to be compared with but the row in its way.
  const middle = row.baseRow === null ? [] : [base]
  const last = row.targetRow === null && other.length > 0 ? other : [target, ...other]
  const sides = from === 'old' ? [source, ...middle, ...last] : [...last, ...middle, source]
  return sides
}

const namesOf = (versions: readonly Version[]): readonly string[] => [
  ...new Set(versions.flatMap(({ cells }) => Object.keys(cells ?? {}))),
]

const isDifferent = (name: string, versions: readonly Version[]): boolean => {
  const values = versions.flatMap(({ cells }) => (cells === null ? [] : [cells[name] ?? null]))
  return new Set(values).size > 1
}

function shownValue(cells: Cells | null, name: string): string {
  if (cells === null) return '(no row)'
  const value = cells[name]
  if (value === null || value === undefined) return 'NULL'
  return value === '' ? "''" : visible(value)
}

/** A shop's text may hold anything; in a terminal it may neither break the lines nor move the cursor. */
export function visible(text: string): string {
  const plain = stripVTControlCharacters(text).replaceAll('\r\n', '⏎').replaceAll('\n', '⏎')
  return [...plain].map((letter) => (isControl(letter) ? '·' : letter)).join('')
}

const isControl = (letter: string): boolean => {
  const code = letter.codePointAt(0) ?? 0
  return code < 32 || (code >= 127 && code < 160)
}

/** In lines of `width`; what goes beyond the last is cut, visibly. */
function broken(text: string, width: number): readonly string[] {
  const letters = [...text]
  const lines: string[] = []
  for (let at = 0; at < letters.length && lines.length < VALUE_LINES; at += width)
    lines.push(letters.slice(at, at + width).join(''))
  const last = lines.at(-1)
  if (last !== undefined && letters.length > VALUE_LINES * width)
    lines[lines.length - 1] = `${[...last].slice(0, width - 1).join('')}…`
  return lines.length === 0 ? [''] : lines
}

const padded = (text: string, width: number): string => {
  const letters = [...text]
  return letters.length > width ? `${letters.slice(0, width - 1).join('')}…` : text + ' '.repeat(width - letters.length)
}
