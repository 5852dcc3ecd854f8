import type { Finding } from '../../base/errors.ts'
import type { ServerInfo } from '../port.ts'
import { functionConsequences } from './functions.ts'

/** lower_case_table_names of a server that takes names as they are spelled ("Identifier Case Sensitivity"). */
export const EXACT = '0'

/** See the port. */
export function consequences(source: ServerInfo, target: ServerInfo): readonly Finding[] {
  return [...olderSeries(source, target), ...exactNames(source, target), ...functionConsequences(source, target)]
}

/** A host mends releases on its own, but each of 10.5, 10.11, 5.7, 8.0 and 8.4 is one that others follow; the step compares the first number. */
function olderSeries({ product, version: from }: ServerInfo, target: ServerInfo): readonly Finding[] {
  const to = target.version
  if (from[0] !== to[0] || (to[1] ?? 0) >= (from[1] ?? 0)) return []
  return [
    {
      severity: 'warning',
      code: 'target-older',
      message: `The new database is ${target.product}, of an older series than the old host's ${product}: it may not take everything that the old one holds.`,
      hint: `Ask the new host for ${product} or later.`,
    },
  ]
}

/** A shop's own programs spell tables as they like where the old server didn't mind. */
function exactNames(source: ServerInfo, target: ServerInfo): readonly Finding[] {
  const [from, to] = [source.facts?.tableNames ?? '', target.facts?.tableNames ?? '']
  if (from === to || to !== EXACT || from === '') return []
  return [
    {
      severity: 'warning',
      code: 'table-names-exact',
      message: `The old server takes Orders and orders for one table (lower_case_table_names=${from}), the new one (0) doesn't: wherever the shop's programs spell a table otherwise than it is stored, they will not find it.`,
      hint: 'Ask the new host for the same setting (it is chosen when a server is set up), or have the shop tried on the new host first (rehearse).',
    },
  ]
}
