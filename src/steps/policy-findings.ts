import type { Finding } from '../base/errors.ts'
import {
  type Column,
  findTable,
  fullName,
  readableColumns,
  type Schema,
  type Table,
  type TableName,
} from '../databases/schema.ts'
import type { TableRules, World } from './world.ts'

type Ruled = Pick<World, 'tables' | 'where'>

/** A table that the playbook names, with the rules it gives. */
interface Ruling {
  readonly table: Table
  readonly rules: TableRules
  /** Where a part of the rules stands in the playbook. */
  readonly place: (...path: readonly (string | number)[]) => string
}

/** A column that a rule names, and what it must be for that. */
interface Use {
  readonly column: string
  readonly place: string
  readonly word: string
  readonly wants: 'exact number' | 'order' | 'value'
}

/**
 * Rules of the playbook that the tables' columns can't keep, each at its place. `schema` is the old database's; names that it hasn't got
 * are left to `unknownNames`, tables without a key to the snapshot's check. `there`: the new database's, whose indexes count for tables that
 * it has by now. Pure.
 */
export const policyFindings = (world: Ruled, schema: Schema, there?: Schema): readonly Finding[] => [
  ...[...world.tables].flatMap(([name, rules]) => {
    const table = findTable(schema.tables, name)
    if (table === undefined || table === 'ambiguous' || rules.mode !== 'track') return []
    return ofTable({ table, rules, place: (...path) => world.where(['tables', name, ...path]) }, [there, schema])
  }),
]

const ofTable = (ruling: Ruling, schemas: readonly (Schema | undefined)[]): readonly Finding[] => [
  ...(ruling.table.key.length === 0
    ? []
    : [...rowUses(ruling).flatMap((use) => unfit(use, ruling.table)), ...matchFindings(ruling, schemas)]),
  ...ruling.rules.sums.flatMap((column, index) =>
    unfit({ column, place: ruling.place('sums', index), word: 'sums', wants: 'exact number' }, ruling.table),
  ),
]

function rowUses({ rules, place }: Ruling): readonly Use[] {
  const newest = (column: string, ...path: readonly string[]): Use => ({
    column,
    place: place(...path, 'newest'),
    word: 'newest',
    wants: 'order',
  })
  const listed = (key: 'add' | 'match', wants: Use['wants']): readonly Use[] =>
    rules[key].map((column, index) => ({ column, place: place(key, index), word: key, wants }))
  return [
    ...listed('add', 'exact number'),
    ...listed('match', 'value'),
    ...(typeof rules.conflict === 'object' ? [newest(rules.conflict.newest, 'conflict')] : []),
    ...Object.entries(rules.columns).flatMap(([column, rule]): readonly Use[] => {
      const use = { column, place: place('columns', column) }
      if (rule === 'add') return [{ ...use, word: 'add', wants: 'exact number' }]
      const own: Use = { ...use, word: 'columns', wants: 'value' }
      return typeof rule === 'object' ? [own, newest(rule.newest, 'columns', column)] : [own]
    }),
  ]
}

/** A column that isn't there has been found by `unknownNames`. */
function unfit(use: Use, table: Table): readonly Finding[] {
  const column = table.columns.find((each) => each.name.toLowerCase() === use.column.toLowerCase())
  if (column === undefined) return []
  const name = `${fullName(table.name)}.${column.name}`
  if (!readableColumns(table).includes(column)) {
    const whose = column.rowversion ? 'is set by the server at each write' : 'is computed by the server'
    return [
      error(
        'policy-column',
        `${use.place}: ${name} ${whose}, so it is never compared: ${use.word} can't go by it.`,
        'Name another column.',
      ),
    ]
  }
  if ((use.word === 'add' || use.word === 'columns') && table.key.includes(column.name)) {
    return [
      error(
        'policy-column',
        `${use.place}: ${name} belongs to the key, which is never changed: ${use.word} has nothing to decide there.`,
        'Take it away.',
      ),
    ]
  }
  if (use.wants === 'value') return []
  return use.wants === 'order' ? unordered(use, name, column) : inexact(use, name, column)
}

/** By the type as DDL spells it or, for a type of the shop's own, by its base type where the adapter says it. */
const isOf = (pattern: RegExp, column: Column): boolean => pattern.test(column.type) || pattern.test(column.codec)

const EXACT = /^((tiny|small|medium|big)?int(eger)?|decimal|dec|numeric|fixed|number|money|smallmoney)\b/i
const FLOATING = /^(float|real|double)/i
const TIMED = /^(date|datetime|datetime2|datetimeoffset|smalldatetime|timestamp|timestamptz|time|year)\b/i
const OTHER =
  /^(n?(var)?char|character|n?text|tinytext|mediumtext|longtext|string|(tiny|medium|long)?blob|(var)?binary|bytea|image|bit|bool|boolean|json|jsonb|xml|uuid|uniqueidentifier|enum|set|interval|inet|cidr|tsvector)\b/i

function inexact(use: Use, name: string, column: Column): readonly Finding[] {
  if (isOf(EXACT, column)) return []
  if (isOf(FLOATING, column)) {
    const what = use.word === 'sums' ? 'sums of it differ with the order of the rows' : 'what is added to it would be rounded'
    return [
      error(
        'policy-column',
        `${use.place}: ${name} is ${column.type}, a rounded number: ${what}.`,
        'Only whole numbers, decimals and money can be counted on. Take it away, or make the column a decimal.',
      ),
    ]
  }
  if (isOf(OTHER, column) || isOf(TIMED, column)) {
    return [
      error(
        'policy-column',
        `${use.place}: ${name} is ${column.type}, no number: ${use.word} can't go by it.`,
        'Name a whole number, a decimal or money.',
      ),
    ]
  }
  return [unsure(use, name, column, 'an exact number')]
}

function unordered(use: Use, name: string, column: Column): readonly Finding[] {
  if (isOf(TIMED, column) || isOf(EXACT, column) || isOf(FLOATING, column)) return []
  if (isOf(OTHER, column)) {
    return [
      error(
        'policy-column',
        `${use.place}: ${name} is ${column.type}, neither a time nor a number: it can't say which row is the newer one.`,
        'Name the column that holds when a row was last changed, or choose another policy.',
      ),
    ]
  }
  return [unsure(use, name, column, 'a time or a number')]
}

const unsure = (use: Use, name: string, column: Column, what: string): Finding => ({
  severity: 'warning',
  code: 'policy-column-unsure',
  message: `${use.place}: ${name} is ${column.type}; it can't be told whether that is ${what}, as ${use.word} wants it.`,
  hint: 'A row that can’t be decided by it is parked: nothing is lost, but it is work for you.',
})

/** The natural key by which rows born on both hosts are found to be the same. */
function matchFindings({ table, rules: { match }, place }: Ruling, schemas: readonly (Schema | undefined)[]): readonly Finding[] {
  // A column that isn't there is a problem of its own.
  if (!table.columns.some(({ name }) => isNamed(match, name))) return []
  return [
    ...(isUnique(table, match) ? [] : [looseMatch(table, match, place('match'))]),
    ...(isIndexed(table, match, schemas) ? [] : [slowMatch(table, match, place('match'))]),
  ]
}

const isUnique = (table: Table, match: readonly string[]): boolean =>
  keysOf(table).some((columns) => columns.every((name) => isNamed(match, name)))

/** Two rows with one natural key would leave open which of them is meant. */
const looseMatch = ({ name }: Table, match: readonly string[], place: string): Finding => ({
  severity: 'warning',
  code: 'match-not-unique',
  message: `${place}: ${fullName(name)} has no unique key on ${match.join(', ')}: several rows may have the same.`,
  hint: 'A row that matches several is parked for you to decide. A unique key on these columns makes it certain.',
})

/** Whether an index begins with one of the columns, by the first of the schemas that have the table. */
function isIndexed(table: Table, match: readonly string[], schemas: readonly (Schema | undefined)[]): boolean {
  const isOurs = (name: TableName | undefined): boolean =>
    name !== undefined && fullName(name).toLowerCase() === fullName(table.name).toLowerCase()
  const schema = schemas.find((each) => each?.tables.some(({ name }) => isOurs(name)))
  const own = schema?.tables.find(({ name }) => isOurs(name)) ?? table
  const indexes = (schema?.objects ?? []).filter((object) => isOurs(object.table) && object.kind.startsWith('index'))
  const leading = [...keysOf(own).flatMap(([first]) => first ?? []), ...indexes.flatMap(({ sql }) => leadingColumns(sql))]
  return leading.some((name) => isNamed(match, name))
}

/** Without an index, rows that are the same by their natural key are found by reading all of them. */
function slowMatch({ name }: Table, match: readonly string[], place: string): Finding {
  const index = `${name.name}_${match.join('_')}`.replaceAll(/\W/g, '_')
  return {
    severity: 'warning',
    code: 'match-without-index',
    message: `${place}: no index of ${fullName(name)} begins with ${match.join(' or ')}: the new host's whole table is read for every few hundred new rows that reconcile carries.`,
    hint: `Add one on both hosts, or on the new one once it is restored: CREATE INDEX ${index} ON ${fullName(name)} (${match.join(', ')})`,
  }
}

const keysOf = (table: Table): readonly (readonly string[])[] =>
  [table.key, ...table.uniqueKeys.map((key) => key.columns)].filter((columns) => columns.length > 0)

const isNamed = (names: readonly string[], name: string): boolean =>
  names.some((each) => each.toLowerCase() === name.toLowerCase())

/** First columns of the indexes that a statement makes, as all engines spell it; none of those that aren't searched by whole values. */
function leadingColumns(sql: string): readonly string[] {
  if (/\bUSING (?!btree|hash)\w|\b(?:COLUMNSTORE|XML|SPATIAL|FULLTEXT)\b/i.test(sql)) return []
  return [...sql.matchAll(/\b(?:ON|KEY)\s[^(]*\(\s*(?:`([^`]+)`|"([^"]+)"|\[([^\]]+)\]|([\w$]+))/gi)].flatMap(
    ([, ...spellings]) => spellings.find((name) => name !== undefined) ?? [],
  )
}

/** Only the playbook can be mended, so it ends a command as wrong usage. */
const error = (code: string, message: string, hint: string): Finding => ({
  severity: 'error',
  code,
  message,
  hint,
  ending: 'usage',
})
