import type { Finding } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { keyLabel } from '../reconcile/fingerprint.ts'
import type { ParkedRow } from '../reconcile/parked.ts'
import type { ColumnSum, Proof } from '../reconcile/proof.ts'
import type { Moved } from './reconcile-proven.ts'

/** Rows that a finding names; the report has more. */
const NAMED = 3

type Side = 'old' | 'new'
const other = (side: Side): Side => (side === 'old' ? 'new' : 'old')
const commandFor = (source: Side): string => (source === 'old' ? 'migrate reconcile PLAYBOOK' : 'migrate rollback PLAYBOOK')
const rows = (count: number): string => `${formatCount(count)} ${count === 1 ? 'row' : 'rows'}`

/** The finding that keeps a run from ending as done while a person still has to decide. */
export const parkedFinding = (parked: readonly ParkedRow[], source: Side): Finding => ({
  severity: 'warning',
  code: 'rows-parked',
  message: `${rows(parked.length)} ${parked.length === 1 ? 'is' : 'are'} parked for you to decide: ${listed(
    parked.map((row) => `${row.table} ${keyLabel(row.key)} (${row.reason})`),
    '; ',
  )}.`,
  hint: `migrate reconcile PLAYBOOK --resolve  shows each with both hosts' versions and asks; on the ${other(source)} host nothing of them was overwritten.`,
})

/** Numbers that customers may know, and that aren't theirs any more: both are said. */
export function remappedFinding({ remapped, remappedRows }: Moved, source: Side): readonly Finding[] {
  if (remappedRows === 0) return []
  return [
    {
      severity: 'warning',
      code: 'rows-remapped',
      message: `${rows(remappedRows)} of the ${source} host ${remappedRows === 1 ? 'has' : 'have'} another number on the ${other(source)} one: ${listed(
        remapped.map(({ table, from, to }) => `${table} ${from} is now ${to}`),
        ', ',
        remappedRows,
      )}.`,
      hint: `Theirs had been given to other rows there. Whoever was told the old number wants to know; migrate reconcile PLAYBOOK --lookup TABLE NUMBER  answers for each.`,
    },
  ]
}

/** What of the source is neither on the target nor set aside. */
export function unaccounted(proof: Proof, source: Side): readonly Finding[] {
  if (proof.totals.unaccounted === 0) return []
  const tables = [...proof.tables]
    .filter(([, tally]) => tally.unaccounted > 0)
    .map(([name, tally]) => `${name}: ${formatCount(tally.unaccounted)}`)
  return [
    {
      severity: 'error',
      code: 'rows-unaccounted',
      message: `${rows(proof.totals.unaccounted)} arrived while rows were being carried over and aren't on the ${other(source)} host yet (${tables.join(', ')}).`,
      hint: `Run  ${commandFor(source)}  again: it carries them. What was carried so far stays.`,
    },
  ]
}

/** Columns that a shop's update brought while both hosts took orders. */
export const uncompared = (columns: readonly string[]): readonly Finding[] =>
  columns.length === 0
    ? []
    : [
        {
          severity: 'warning',
          code: 'columns-uncompared',
          message: `${listed(columns, ', ')} ${columns.length === 1 ? 'was' : 'were'} added after the restore: rows that are carried take ${columns.length === 1 ? 'it' : 'them'} along, but a change in ${columns.length === 1 ? 'it' : 'them'} alone isn't seen.`,
          hint: 'Look at the rows that the old host changed in them yourself; better, update the shop when the move is over.',
        },
      ]

/** Money and quantities that nothing explains, or that can't be added up. */
export function sumsApart(proof: Proof, source: Side): readonly Finding[] {
  const apart = [...proof.tables].flatMap(([name, { sums }]) =>
    sums
      .filter((each) => isKnown(each) && !isZero(each.unexplained))
      .map((each) => `${name}.${each.column} by ${each.unexplained}`),
  )
  const unknown = [...proof.tables].flatMap(([name, { sums }]) =>
    sums.filter((each) => !isKnown(each)).map((each) => `${name}.${each.column}`),
  )
  const unknowns: readonly Finding[] = unknown.map((column) => ({
    severity: 'warning',
    code: 'sums-unknown',
    message: `${column} can't be added up: it holds what is no plain decimal number.`,
    hint: 'The proof goes without its sum. Every row of it is compared and counted all the same.',
  }))
  if (apart.length === 0) return unknowns
  return [
    ...unknowns,
    {
      // Customers go on buying while the columns are added up: by itself it proves no loss.
      severity: 'warning',
      code: 'sums-unexplained',
      message: `Sums differ between the hosts, and no row that was carried, changed or parked explains it: ${listed(apart, ', ')}.`,
      hint: `Run  ${commandFor(source)}  again, when fewer customers buy: rows may have been written while the columns were added up. If it stays, compare the table by hand before you close the ${source} host.`,
    },
  ]
}

const isKnown = (sum: ColumnSum): boolean => ![sum.source, sum.target, sum.unexplained].includes('?')
const isZero = (decimal: string): boolean => /^-?0*(\.0*)?$/.test(decimal)

function listed(names: readonly string[], separator: string, count = names.length): string {
  const shown = names.slice(0, NAMED)
  return [...shown, ...(count > shown.length ? [`and ${formatCount(count - shown.length)} more`] : [])].join(separator)
}
