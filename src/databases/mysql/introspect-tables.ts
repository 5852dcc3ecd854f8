import type { Column, ForeignKey, Key, Table } from '../schema.ts'
import { ask, isOwnTable } from './catalog.ts'
import { withColumnCollation, withTableCollation } from './collations.ts'
import { readColumns } from './introspect-columns.ts'
import type { Session } from './session.ts'
import { changedOutside, splitCreateTable, unqualified, withoutStrings } from './sql-text.ts'
import type { Trigger } from './triggers.ts'
import { quoteName } from './values.ts'

/** Engines whose tables are carried. Rows are always loaded into InnoDB, so that a load is kept whole or not at all. */
export const LOADED_ELSEWHERE = new Set(['MyISAM', 'Aria', 'MEMORY'])
const CARRIED = new Set(['InnoDB', ...LOADED_ELSEWHERE])

/** A table with what its SHOW CREATE TABLE says. */
export interface CatalogTable {
  readonly table: Table
  readonly engine: string
  /** Makes it for the load: primary key and what InnoDB needs at once, nothing else. */
  readonly createSql: string
  /** `ALTER TABLE … ENGINE=…` for a table of another engine, once its rows are there. */
  readonly engineSql: string | null
  /** Definitions of the indexes that are added after the rows. */
  readonly indexes: readonly string[]
  readonly foreignKeys: readonly ForeignKey[]
  /** All of SHOW CREATE TABLE. */
  readonly sql: string
}

/** What stands in the place of a table and can't be carried. */
export interface OtherTable {
  readonly name: string
  readonly engine: string
  readonly type: string
  readonly collation: string | null
}

export interface ReadTables {
  readonly tables: readonly CatalogTable[]
  readonly others: readonly OtherTable[]
}

export async function readTables(session: Session, database: string, triggers: readonly Trigger[]): Promise<ReadTables> {
  const rows = await ask(
    session,
    ['name', 'type', 'engine', 'collation'] as const,
    `SELECT TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_COLLATION FROM information_schema.TABLES
     WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW', 'SEQUENCE', 'TEMPORARY') ORDER BY TABLE_NAME`,
  )
  const shop = rows
    .map(({ name, type, engine, collation }) => ({ name: name ?? '', type: type ?? '', engine: engine ?? '', collation }))
    .filter(({ name }) => !isOwnTable(name))
  const isCarried = ({ type, engine }: OtherTable): boolean => type === 'BASE TABLE' && CARRIED.has(engine)
  const columns = await readColumns(session)
  const tables: CatalogTable[] = []
  for (const each of shop.filter(isCarried)) {
    const { rows: created } = await session.query(`SHOW CREATE TABLE ${quoteName(each.name)}`)
    const sql = unqualified(created[0]?.[1] ?? '', database)
    const own = triggers.filter((trigger) => trigger.table === each.name).map((trigger) => trigger.name)
    tables.push(catalogTable(each, columns.get(each.name) ?? [], sql, own))
  }
  return { tables, others: shop.filter((each) => !isCarried(each)) }
}

/** Where the old server keeps a table's files, which the new one has no place for. */
const ELSEWHERE = / (?:DATA|INDEX) DIRECTORY ?= ?'[^']*'| \/\*!50100 TABLESPACE `[^`]*` \*\/| TABLESPACE = `?\w+`?/i

const nothing = (): string => ''

/** The text without them. Pure. */
export const withoutPlaces = (sql: string): string => changedOutside(sql, ELSEWHERE, nothing)

const INDEX = /^(?:UNIQUE |FULLTEXT |SPATIAL )?(?:KEY|INDEX) /i
const FOREIGN_KEY = /^CONSTRAINT `((?:[^`]|``)+)` (FOREIGN KEY .*)$/is

/** From the text of SHOW CREATE TABLE. Pure. */
export function catalogTable(
  { name, engine, collation }: OtherTable,
  columns: readonly Column[],
  sql: string,
  triggers: readonly string[],
): CatalogTable {
  const { head, items, tail } = splitCreateTable(sql)
  const primary = items.filter((item) => /^PRIMARY KEY/i.test(item)).map(keyOf)[0] ?? null
  const uniqueItems = items.filter((item) => /^UNIQUE (KEY|INDEX) /i.test(item))
  const uniqueKeys = uniqueItems.map(keyOf)
  const keep = inlineIndexes(columns, primary, items)
  const indexes = items.filter((item) => INDEX.test(item) && !keep.has(item))
  const foreignKeys = items.flatMap((item) => foreignKeyOf(name, item))
  const inline = items
    .filter((item) => (!INDEX.test(item) || keep.has(item)) && !FOREIGN_KEY.test(item))
    .map((item) => withColumnCollation(item, columns))
  const options = withTableCollation(withoutPlaces(changedOutside(tail, / AUTO_INCREMENT=\d+/i, nothing)), collation)
  const secondPlace = autoInSecondPlace(columns, primary, items)
  const isElsewhere = LOADED_ELSEWHERE.has(engine) && !secondPlace
  const rowFormat = / ROW_FORMAT=\w+/i.exec(withoutStrings(options))?.[0] ?? ''
  return {
    engine,
    sql,
    indexes,
    foreignKeys,
    createSql: `${head}\n  ${inline.join(',\n  ')}\n${isElsewhere ? inInnodb(options, engine, rowFormat) : options}`,
    engineSql: isElsewhere ? `ALTER TABLE ${quoteName(name)} ENGINE=${engine}${rowFormat}` : null,
    table: {
      name: { schema: '', name },
      columns,
      primaryKey: primary,
      uniqueKeys,
      key: chooseKey([...(primary === null ? [] : [primary]), ...uniqueKeys], columns),
      triggers,
    },
  }
}

/** Each partition names its engine again. */
const inInnodb = (options: string, engine: string, rowFormat: string): string =>
  changedOutside(options.replace(rowFormat, ''), new RegExp(`\\bENGINE ?= ?${engine}\\b`, 'i'), (named) =>
    named.replace(/\w+$/, 'InnoDB'),
  )

/** MyISAM can number within a group: its auto-numbered column then stands second in a key, which InnoDB has not. */
function autoInSecondPlace(columns: readonly Column[], primary: Key | null, items: readonly string[]): boolean {
  const auto = columns.find((column) => column.identity !== null)
  if (auto === undefined || primary?.columns[0] === auto.name) return false
  return !items.some((item) => INDEX.test(item) && keyOf(item).columns[0] === auto.name)
}

/**
 * Indexes that must be there from the start: the one that an auto-numbered column needs, and without a primary key the unique one by
 * which InnoDB lays rows down ("Clustered and Secondary Indexes").
 */
function inlineIndexes(columns: readonly Column[], primary: Key | null, items: readonly string[]): ReadonlySet<string> {
  const kept: string[] = []
  const indexes = items.filter((item) => INDEX.test(item))
  const auto = columns.find((column) => column.identity !== null)?.name
  if (auto !== undefined && primary?.columns[0] !== auto) {
    const needed = indexes.find((item) => keyOf(item).columns[0] === auto)
    if (needed !== undefined) kept.push(needed)
  }
  if (primary === null) {
    const solid = new Set(columns.filter((column) => !column.nullable).map((column) => column.name))
    const clustered = indexes.find((item) => /^UNIQUE /i.test(item) && keyOf(item).columns.every((name) => solid.has(name)))
    if (clustered !== undefined) kept.push(clustered)
  }
  return new Set(kept)
}

/** `UNIQUE KEY `name` (`a`,`b`(10) DESC) USING BTREE`: columns that are indexed only in part, or expressions, make no key. */
function keyOf(item: string): Key {
  const name = /^(?:UNIQUE )?(?:KEY|INDEX) `((?:[^`]|``)+)`/i.exec(item)?.[1] ?? 'PRIMARY'
  const inside = splitCreateTable(item).items
  const columns = inside.map((part) => /^`((?:[^`]|``)+)`(?: (?:ASC|DESC))?$/i.exec(part)?.[1]?.replaceAll('``', '`') ?? part)
  return { name: name.replaceAll('``', '`'), columns, sql: item }
}

/** The first of the keys without a column that may be null or that the server computes. */
function chooseKey(candidates: readonly Key[], columns: readonly Column[]): readonly string[] {
  const solid = new Set(columns.filter((column) => !column.nullable && column.computed === null).map((column) => column.name))
  return candidates.find((key) => key.columns.length > 0 && key.columns.every((name) => solid.has(name)))?.columns ?? []
}

const NAMES = /`((?:[^`]|``)+)`/g
const REFERENCE = /^FOREIGN KEY \(([^)]*)\) REFERENCES (?:`((?:[^`]|``)+)`\.)?`((?:[^`]|``)+)` \(([^)]*)\)/i

const namesIn = (list: string): readonly string[] =>
  [...list.matchAll(NAMES)].map((match) => (match[1] ?? '').replaceAll('``', '`'))

/** A foreign key within this database; [] for anything else. */
function foreignKeyOf(table: string, item: string): readonly ForeignKey[] {
  const outer = FOREIGN_KEY.exec(item)
  const match = REFERENCE.exec(outer?.[2] ?? '')
  if (outer === null || match === null || match[2] !== undefined) return []
  return [
    {
      name: (outer[1] ?? '').replaceAll('``', '`'),
      table: { schema: '', name: table },
      columns: namesIn(match[1] ?? ''),
      parent: { schema: '', name: (match[3] ?? '').replaceAll('``', '`') },
      parentColumns: namesIn(match[4] ?? ''),
      enforced: true,
      sql: outer[2] ?? '',
    },
  ]
}
