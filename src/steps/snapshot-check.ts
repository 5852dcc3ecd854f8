import { stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { codeOf, type Finding } from '../base/errors.ts'
import { formatBytes } from '../base/units.ts'
import { fullName, readableColumns, type Schema, type Table } from '../databases/schema.ts'
import { rulesFor } from './rules.ts'
import type { TableRules, World } from './world.ts'

/**
 * Tracked tables without a key, by name. They are reconciled by how many copies there are of each row; that can't be done where a rule
 * would change single rows, which nothing tells apart, or where there is no column whose values could be compared.
 */
export function withoutKey(world: World, schema: Schema): readonly Finding[] {
  const rules = rulesFor(world, schema)
  return schema.tables
    .filter((table) => table.key.length === 0 && rules(table).mode === 'track')
    .map((table) => keylessFinding(table, rules(table)))
}

function keylessFinding(table: Table, { ignore, add, columns, match, conflict }: TableRules): Finding {
  const name = fullName(table.name)
  const none = `${name} has neither a primary key nor a unique key without NULLs`
  const left = new Set(ignore.map((column) => column.toLowerCase()))
  const compared = readableColumns(table).filter((column) => !left.has(column.name.toLowerCase()))
  const asking = [
    ...(add.length > 0 ? ['add'] : []),
    ...(Object.keys(columns).length > 0 ? ['columns'] : []),
    ...(match.length > 0 ? ['match'] : []),
    ...(typeof conflict === 'object' ? ['conflict: newest'] : []),
  ]
  if (compared.length > 0 && asking.length === 0) {
    return {
      severity: 'info',
      code: 'table-counted',
      message: `${none}: it is reconciled by how many copies there are of each row.`,
      hint: `A log that nobody misses needs none of that: tables: { ${name}: copy-only } (or skip).`,
    }
  }
  const why =
    compared.length === 0
      ? 'no column to tell its rows by'
      : `nothing tells its rows apart, which ${asking.join(', ')} would need`
  return {
    severity: 'error',
    code: 'table-without-key',
    message: `${none}, and ${why}: changes can't be carried over.`,
    hint: `Give it a key, ${asking.length > 0 ? 'take these rules from it, ' : ''}or say in the playbook what to do with it: tables: { ${name}: copy-only } (or skip).`,
  }
}

/** Compressed rows take less room than the tables they come from; a quarter is what text and numbers usually need at most. */
export async function roomFinding(directory: string, bytes: number): Promise<readonly Finding[]> {
  const { bavail, bsize } = await statfs(await nearestFolder(directory))
  const free = bavail * bsize
  const message = `${formatBytes(free)} are free for the run's folder ${directory}; the old database's tables hold ${formatBytes(bytes)}`
  const hint = 'Make room there, or choose another folder with --state.'
  if (free < bytes / 4)
    return [{ severity: 'error', code: 'state-disk-small', message: `${message}: too little for a compressed snapshot.`, hint }]
  if (free < bytes)
    return [{ severity: 'warning', code: 'state-disk-small', message: `${message}: compressed it will probably fit.`, hint }]
  return []
}

async function nearestFolder(directory: string): Promise<string> {
  const found = await stat(directory).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
  return found !== undefined || dirname(directory) === directory ? directory : nearestFolder(join(directory, '..'))
}
