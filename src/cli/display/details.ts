import type { Json, JsonObject } from '../../base/json.ts'
import { formatBytes, formatCount } from '../../base/units.ts'

/** Lines of one kind under a change; the rest is counted, unless everything is wanted. */
const SHOWN = 12

/** What a planned change holds that its one-line summary can't: tables with sizes, SQL, files, lines that would change. */
export function changeDetails(change: Json, summary: string, everything: boolean): readonly string[] {
  if (typeof change !== 'object' || change === null || Array.isArray(change)) return []
  const members = change as JsonObject
  return [
    ...limited(listOf(members.tables).flatMap(tableLine), everything, 'table'),
    ...limited(listOf(members.files).flatMap(fileLine), everything, 'file'),
    ...limited(
      listOf(members.statements).flatMap((each) => sqlLines(isObject(each) ? each.sql : each)),
      everything,
      'line',
    ),
    ...limited(said(members.sql, summary) ? [] : sqlLines(members.sql), everything, 'line'),
  ]
}

/** The summary has it already, perhaps indented. */
const said = (value: Json | undefined, summary: string): boolean =>
  typeof value === 'string' && summary.replaceAll(/\s+/g, ' ').includes(value.trim().replaceAll(/\s+/g, ' '))

const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : [])

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function tableLine(value: Json): readonly string[] {
  if (!isObject(value)) return []
  const { table, rows, bytes } = value
  if (typeof table !== 'string' || typeof rows !== 'number') return []
  return [
    `${table.padEnd(32)} ${formatCount(rows).padStart(12)} rows${typeof bytes === 'number' ? `  ${formatBytes(bytes).padStart(9)}` : ''}`,
  ]
}

function fileLine(value: Json): readonly string[] {
  if (typeof value === 'string') return [value]
  if (!isObject(value) || typeof value.path !== 'string') return []
  return [`${value.path}${typeof value.size === 'number' ? `  ${formatBytes(value.size)}` : ''}`]
}

const sqlLines = (value: Json | undefined): readonly string[] => textLines(value)

const textLines = (value: Json | undefined): readonly string[] => (typeof value === 'string' ? value.trim().split('\n') : [])

function limited(lines: readonly string[], everything: boolean, noun: string): readonly string[] {
  if (everything || lines.length <= SHOWN + 1) return lines
  return [...lines.slice(0, SHOWN), `… and ${formatCount(lines.length - SHOWN)} more ${noun}s (--verbose shows them)`]
}
