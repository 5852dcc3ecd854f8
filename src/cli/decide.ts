import type { WrittenDecision, WrittenRowDecision } from '../playbook/index.ts'
import type { Problem } from '../playbook/problems.ts'
import type { Decision } from '../reconcile/decisions.ts'
import { keyCells, keyLabel } from '../reconcile/fingerprint.ts'
import type { ParkedRow } from '../reconcile/parked.ts'

/** What a person takes, in words that a file and a terminal share. */
export type Take = WrittenRowDecision['take']

export interface Settled {
  readonly decisions: readonly Decision[]
  /** Rows that a decision was made about before, and that aren't parked any more: named, and left as they are. */
  readonly settled: readonly string[]
  /** What can't be done, each at its place in the file. */
  readonly problems: readonly Problem[]
}

/** Matches the lines of a file that are about rows with those that are parked. `earlier`: the run's decisions so far. */
export function settle(written: readonly WrittenDecision[], parked: readonly ParkedRow[], earlier: readonly Decision[]): Settled {
  const decisions: Decision[] = []
  const settled: string[] = []
  const problems: Problem[] = []
  for (const each of written) {
    if ('file' in each) continue
    const label = `${each.table} ${[each.key].flat().join(',')}`
    const rows = exactFirst(
      each,
      parked.filter((row) => isMeant(each, row)),
    )
    const [row] = rows
    const complain = (message: string, hint: string): void => {
      problems.push({ line: each.line, column: each.column, message, hint })
    }
    if (rows.length > 1)
      complain(`${label} may be a row of ${rows.map((one) => one.table).join(' or ')}.`, 'Write the table with its schema.')
    else if (row !== undefined) {
      const decision = decisionOf(row, each.take)
      if (decision !== undefined) decisions.push(decision)
      else
        complain(
          `${label} collides with no row on the host that receives it, so there is none to merge it into.`,
          'Take old, new or skip.',
        )
    } else if (earlier.some((one) => isMeant(each, one))) settled.push(label)
    else complain(`No row ${label} is parked.`, parkedHint(parked))
  }
  return { decisions, settled, problems }
}

/** The decision as the run keeps it, bound to the rows as the person saw them; `undefined` where there is nothing to merge into. */
export function decisionOf(row: ParkedRow, take: Take): Decision | undefined {
  const { table, key, source, target, collision } = row
  if (take !== 'merge') return { table, key, take, source, target }
  return collision === null ? undefined : { table, key, take: { merge: collision.key }, source, target }
}

function isMeant(written: WrittenRowDecision, row: { readonly table: string; readonly key: string }): boolean {
  const [given, full] = [written.table.toLowerCase(), row.table.toLowerCase()]
  if (given !== full && given !== full.slice(full.indexOf('.') + 1)) return false
  const cells = keyCells(row.key)
  const parts =
    typeof written.key === 'string' && cells.length > 1 ? written.key.split(',').map((part) => part.trim()) : [written.key].flat()
  return parts.length === cells.length && parts.every((part, index) => part === (cells[index] ?? 'NULL'))
}

/** Names that differ only in the case of letters are told apart by whoever writes them exactly. */
function exactFirst({ table }: WrittenRowDecision, rows: readonly ParkedRow[]): readonly ParkedRow[] {
  const exact = rows.filter((row) => row.table === table || row.table.endsWith(`.${table}`))
  return exact.length > 0 ? exact : rows
}

const SHOWN = 5

function parkedHint(parked: readonly ParkedRow[]): string {
  if (parked.length === 0) return 'Nothing is parked.'
  const names = parked.slice(0, SHOWN).map((row) => `${row.table} ${keyLabel(row.key)}`)
  return `Parked: ${names.join('; ')}${parked.length > SHOWN ? `; and ${parked.length - SHOWN} more` : ''}.`
}

/** A file of decisions to begin with, for where nothing can be asked. */
export function template(parked: readonly ParkedRow[]): string {
  const lines = parked.slice(0, SHOWN).map((row) => {
    const cells = keyCells(row.key).map((cell) => JSON.stringify(cell ?? 'NULL'))
    const key = cells.length === 1 ? cells[0] : `[${cells.join(', ')}]`
    return `- { table: ${JSON.stringify(row.table)}, key: ${key}, take: old }`
  })
  return [...lines, ...(parked.length > SHOWN ? [`# … and ${parked.length - SHOWN} more`] : [])].join('\n')
}
