import { firstOf } from '../../base/units.ts'
import type { Schema } from '../schema.ts'
import { type CatalogTable, LOADED_ELSEWHERE, type OtherTable, withoutPlaces } from './introspect-tables.ts'
import { isWellQuoted, withoutStrings } from './sql-text.ts'
import { quoteName, UNKNOWN_CODEC } from './values.ts'

type Finding = Schema['findings'][number]

/** What is to be said about tables: what can't be carried, and what is carried but behaves otherwise. Pure. */
export const tableFindings = (tables: readonly CatalogTable[], others: readonly OtherTable[]): readonly Finding[] => [
  ...others.map(otherFinding),
  ...brokenKeys(tables, others),
  ...engineFindings(tables),
  ...tables.flatMap(({ table, engine, engineSql, sql, indexes }): readonly Finding[] => {
    const name = table.name.name
    return [
      ...(LOADED_ELSEWHERE.has(engine) && engineSql === null ? [groupedFinding(name, engine)] : []),
      ...(table.triggers.length > 0 ? [triggerFinding(name)] : []),
      ...table.columns
        .filter((column) => column.codec === UNKNOWN_CODEC)
        .map((column) => unknownType(name, column.name, column.type)),
      ...(isWellQuoted(sql) ? [] : [unreadable(name)]),
      ...(withoutPlaces(sql) === sql ? [] : [directoryFinding(name)]),
      ...(/FOREIGN KEY \([^)]*\) REFERENCES `(?:[^`]|``)+`\.`/i.test(withoutStrings(sql)) ? [foreignDatabase(name)] : []),
      ...(indexes.some((index) => /^FULLTEXT /i.test(index)) ? [fullTextFinding(name)] : []),
    ]
  }),
]

function otherFinding({ name, engine, type }: OtherTable): Finding {
  if (type === 'SYSTEM VERSIONED') {
    return {
      severity: 'error',
      code: 'table-versioned',
      message: `The table ${name} keeps its own history (WITH SYSTEM VERSIONING), which can't be copied row by row; migrate doesn't carry it.`,
      hint: `Move it yourself with mariadb-dump (--dump-history keeps its past) and leave it out here (tables: { ${name}: skip }), or drop the versioning first.`,
      table: name,
    }
  }
  return {
    severity: 'error',
    code: 'table-engine',
    message: `The table ${name} is kept by the engine ${engine === '' ? '(none: it is broken)' : engine}, whose rows migrate doesn't carry.`,
    hint: `Turn it into InnoDB on the old host (ALTER TABLE … ENGINE=InnoDB), or leave it out (tables: { ${name}: skip }) and create it on the new host by hand before restore-database, where a view needs it.`,
    table: name,
  }
}

/** One for each engine without transactions: a shop may have hundreds of such tables. */
function engineFindings(tables: readonly CatalogTable[]): readonly Finding[] {
  const kept = tables.filter(({ engine, engineSql }) => LOADED_ELSEWHERE.has(engine) && engineSql !== null)
  return [...Map.groupBy(kept, ({ engine }) => engine)].map(([engine, group]): Finding => {
    const names = group.map(({ table }) => table.name.name)
    const [first = ''] = names
    const which = names.length === 1 ? `The table ${first} is` : `${names.length} tables (${firstOf(names)}) are`
    const statements = `SELECT CONCAT('ALTER TABLE \`', TABLE_NAME, '\` ENGINE=InnoDB;') FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND ENGINE = '${engine}'`
    return {
      severity: 'warning',
      code: 'table-not-transactional',
      message: `${which} kept by ${engine}, which knows no transactions: rows are read while they change, and when reconcile is broken off, some of a batch may be written (the next pass finds and completes them).`,
      hint:
        names.length === 1
          ? `Better: ALTER TABLE \`${first}\` ENGINE=InnoDB on the old host before the migration.`
          : `Better: turn them into InnoDB on the old host before the migration. This prints the statements: ${statements}`,
    }
  })
}

const groupedFinding = (name: string, engine: string): Finding => ({
  severity: 'error',
  code: 'table-not-transactional',
  message: `The table ${name} numbers its rows within groups (${engine}, AUTO_INCREMENT in the second place of a key), which InnoDB can't hold, so that it can't be loaded safely.`,
  hint: `Move its rows with mysqldump, and set it to skip in the playbook (tables: { ${name}: skip }).`,
  table: name,
})

/** Foreign keys whose parent was dropped, or never made, while foreign_key_checks was off, or isn't carried. */
function brokenKeys(tables: readonly CatalogTable[], others: readonly OtherTable[]): readonly Finding[] {
  const names = (list: readonly string[]): ReadonlySet<string> => new Set(list.map((name) => name.toLowerCase()))
  const carried = names(tables.map(({ table }) => table.name.name))
  const left = names(others.map(({ name }) => name))
  return tables
    .flatMap(({ foreignKeys }) => foreignKeys)
    .filter(({ parent }) => !carried.has(parent.name.toLowerCase()))
    .map(({ name, table, parent }) => ({
      severity: 'error',
      code: 'foreign-key-broken',
      message: `The foreign key ${name} of ${table.name} refers to the table ${parent.name}, which ${left.has(parent.name.toLowerCase()) ? "isn't carried" : "isn't there"}.`,
      hint: `Drop it on the old host: ALTER TABLE ${quoteName(table.name)} DROP FOREIGN KEY ${quoteName(name)};`,
    }))
}

const triggerFinding = (name: string): Finding => ({
  severity: 'info',
  code: 'trigger-guarded',
  message: `${name} has triggers. While migrate carries rows into it, they get a guard that keeps them silent in migrate's own sessions; customers' writes fire them as ever.`,
  hint: 'Putting the guard in and taking it out locks the table for a few milliseconds each.',
})

const unknownType = (table: string, column: string, type: string): Finding => ({
  severity: 'error',
  code: 'column-type-unsupported',
  message: `The column ${table}.${column} has the type ${type}, which migrate can't copy faithfully.`,
  hint: `Leave the table out in the playbook (tables: { ${table}: skip }) and copy it by hand.`,
  table,
})

/** MariaDB spells a backquote in the name of a foreign key, or of its columns, as if it were the end of the name. */
const unreadable = (name: string): Finding => ({
  severity: 'error',
  code: 'definition-unreadable',
  message: `The old server spells the definition of the table ${name} so that no server can read it again (SHOW CREATE TABLE): a foreign key or one of its columns has a backquote in its name.`,
  hint: 'Give the foreign key and its columns names without a backquote on the old host.',
})

const directoryFinding = (name: string): Finding => ({
  severity: 'warning',
  code: 'table-directory',
  message: `The table ${name} lies in a folder or tablespace of its own on the old server (DATA DIRECTORY, TABLESPACE); on the new one it lies with the others.`,
  hint: 'Nothing to do, unless the new server should spread its tables over disks too.',
})

const foreignDatabase = (name: string): Finding => ({
  severity: 'error',
  code: 'foreign-key-elsewhere',
  message: `A foreign key of ${name} refers to a table in another database, which migrate doesn't carry.`,
  hint: 'Drop that foreign key, or move the table that it refers to into this database.',
  table: name,
})

const fullTextFinding = (name: string): Finding => ({
  severity: 'info',
  code: 'full-text-index',
  message: `The full-text index of ${name} is built anew on the new host, by that server's settings.`,
  hint: 'Searches may find other words if innodb_ft_min_token_size, ft_min_word_len or the stop words differ there.',
})
