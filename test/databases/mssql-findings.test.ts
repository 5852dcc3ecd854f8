import { describe, expect, it, vi } from 'vitest'
import { PROBES } from '../../src/databases/mssql/findings.ts'
import { connectTestMssql, MSSQL_URL, mssqlTitle } from '../servers/mssql.ts'

vi.setConfig({ testTimeout: 300_000 })

type Row = Readonly<Record<string, number | string | null>>

/** A catalog view as a server with all of it tells it; what a row leaves out is 0, names are NULL. */
interface Catalog {
  readonly view: string
  readonly columns: readonly string[]
  readonly rows: readonly Row[]
}

const FLAGS = [
  ...['is_ms_shipped', 'temporal_type', 'history_table_id', 'is_memory_optimized', 'is_filetable', 'is_external', 'is_node'],
  ...['is_edge', 'ledger_type', 'is_tracked_by_cdc', 'is_published', 'is_merge_published', 'is_schema_published'],
]
const everything = Object.fromEntries(FLAGS.map((flag) => [flag, 1]))

/** One table for each kind, one with nothing to tell (7), and one of the server's own with everything (13). */
const TABLES: readonly Row[] = [
  { object_id: 1, name: 'prices', temporal_type: 2, history_table_id: 2 },
  { object_id: 2, name: 'prices_then', temporal_type: 1 },
  { object_id: 3, name: 'carts', is_memory_optimized: 1 },
  { object_id: 4, name: 'files', is_filetable: 1 },
  { object_id: 5, name: 'far', is_external: 1 },
  { object_id: 6, name: 'likes', is_edge: 1 },
  { object_id: 7, name: 'plain' },
  { object_id: 8, name: 'booked', ledger_type: 2 },
  { object_id: 9, name: 'old', uses_ansi_nulls: 0 },
  { object_id: 10, name: 'watched', is_tracked_by_cdc: 1 },
  { object_id: 11, name: 'sent', is_merge_published: 1 },
  { object_id: 12, name: 'spans' },
  { object_id: 13, name: 'own', ...everything },
].map((row) => ({ uses_ansi_nulls: 1, ...row }))

const CATALOG: readonly Catalog[] = [
  { view: 'tables', columns: ['object_id', 'name', 'uses_ansi_nulls', ...FLAGS], rows: TABLES },
  { view: 'periods', columns: ['object_id'], rows: [{ object_id: 1 }, { object_id: 12 }, { object_id: 13 }] },
  {
    view: 'indexes',
    columns: ['object_id', 'index_id', 'name', 'is_disabled', 'is_primary_key', 'is_unique_constraint', 'data_space_id'],
    rows: [
      { object_id: 7, index_id: 1, name: 'pk', is_primary_key: 1, data_space_id: 1 },
      { object_id: 7, index_id: 2, name: 'ix_off', is_disabled: 1, data_space_id: 1 },
      { object_id: 9, index_id: 2, name: 'uq_off', is_disabled: 1, is_unique_constraint: 1, data_space_id: 1 },
      { object_id: 12, index_id: 1, name: 'pk', data_space_id: 3 },
      { object_id: 5, index_id: 1, name: 'pk', data_space_id: 2 },
    ],
  },
  {
    view: 'data_spaces',
    columns: ['data_space_id', 'name', 'type', 'is_default'],
    rows: [
      { data_space_id: 1, name: 'PRIMARY', type: 'FG', is_default: 1 },
      { data_space_id: 2, name: 'slow', type: 'FG' },
      { data_space_id: 3, name: 'by_year', type: 'PS' },
    ],
  },
  {
    view: 'partition_schemes',
    columns: ['data_space_id', 'name', 'function_id'],
    rows: [{ data_space_id: 3, name: 'by_year', function_id: 9 }],
  },
  {
    view: 'partition_functions',
    columns: ['function_id', 'name', 'fanout'],
    rows: [{ function_id: 9, name: 'years', fanout: 12 }],
  },
  {
    view: 'partitions',
    columns: ['object_id', 'data_compression'],
    rows: [{ object_id: 7 }, { object_id: 9, data_compression: 2 }, { object_id: 12, data_compression: 3 }],
  },
  {
    view: 'stats',
    columns: ['object_id', 'name', 'user_created'],
    rows: [
      { object_id: 7, name: '_WA_Sys' },
      { object_id: 7, name: 'by_hand', user_created: 1 },
    ],
  },
  { view: 'fulltext_indexes', columns: ['object_id'], rows: [{ object_id: 9 }] },
  {
    view: 'xml_indexes',
    columns: ['object_id', 'name', 'xml_index_type'],
    rows: [
      { object_id: 7, name: 'ix_xml' },
      { object_id: 7, name: 'ix_some', xml_index_type: 2 },
    ],
  },
  {
    view: 'foreign_keys',
    columns: ['parent_object_id', 'name', 'is_disabled'],
    rows: [
      { parent_object_id: 7, name: 'fk' },
      { parent_object_id: 7, name: 'fk_off', is_disabled: 1 },
    ],
  },
  {
    view: 'check_constraints',
    columns: ['parent_object_id', 'name', 'is_disabled'],
    rows: [{ parent_object_id: 9, name: 'ck_off', is_disabled: 1 }],
  },
  { view: 'change_tracking_tables', columns: ['object_id'], rows: [{ object_id: 7 }] },
  {
    view: 'columns',
    columns: ['object_id', 'name', 'is_filestream', 'is_column_set', 'encryption_type', 'is_masked'],
    rows: [
      { object_id: 7, name: 'plain', encryption_type: null },
      { object_id: 7, name: 'scan', is_filestream: 1, encryption_type: null },
      { object_id: 7, name: 'sparse', is_column_set: 1, encryption_type: null },
      { object_id: 7, name: 'card', encryption_type: 1 },
      { object_id: 7, name: 'phone', is_masked: 1, encryption_type: null },
      { object_id: 13, name: 'own', is_filestream: 1, is_column_set: 1, encryption_type: 1, is_masked: 1 },
    ],
  },
  { view: 'assemblies', columns: ['name'], rows: [{ name: 'Microsoft.SqlServer.Types' }, { name: 'Shop.Clr' }] },
  {
    view: 'triggers',
    columns: ['name', 'parent_class', 'is_ms_shipped'],
    rows: [
      { name: 'of_table', parent_class: 1 },
      { name: 'of_database', parent_class: 0 },
      { name: 'own', is_ms_shipped: 1 },
    ],
  },
  { view: 'service_queues', columns: ['name', 'is_ms_shipped'], rows: [{ name: 'orders' }, { name: 'own', is_ms_shipped: 1 }] },
  { view: 'security_policies', columns: ['name', 'is_enabled'], rows: [{ name: 'tenants', is_enabled: 1 }, { name: 'resting' }] },
  { view: 'symmetric_keys', columns: ['name'], rows: [{ name: '##MS_DatabaseMasterKey##' }, { name: 'cards' }] },
  { view: 'certificates', columns: ['name'], rows: [{ name: '##MS_AgentSigningCertificate##' }, { name: 'mail' }] },
  { view: 'plan_guides', columns: ['name'], rows: [{ name: 'hint' }] },
  {
    view: 'database_principals',
    columns: ['principal_id', 'name'],
    rows: [
      { principal_id: 1, name: 'dbo' },
      { principal_id: 5, name: 'clerk' },
    ],
  },
]

/** Those with what only the server knows: the open database, beside another one, and numbers of modules that are there. */
const OF_THE_SERVER = [
  `CREATE VIEW cat.databases AS SELECT DB_NAME() AS name, CONVERT(int, 1) AS is_cdc_enabled, CONVERT(int, 1) AS snapshot_isolation_state
UNION ALL SELECT N'other', 1, 1`,
  ...['as_clerk', 'as_dbo', 'as_owner', 'as_caller'].map((name) => `CREATE PROCEDURE dbo.${name} AS SELECT 1 AS one`),
  `CREATE VIEW cat.sql_modules AS SELECT o.object_id, CONVERT(int, CASE o.name WHEN N'as_clerk' THEN 5 WHEN N'as_dbo' THEN 1 WHEN N'as_owner' THEN -2 END) AS execute_as_principal_id
FROM sys.objects o WHERE o.name LIKE N'as[_]%'`,
  `CREATE VIEW cat.sql_expression_dependencies AS SELECT o.object_id AS referencing_id, d.server AS referenced_server_name, d.name AS referenced_database_name
FROM sys.objects o JOIN (VALUES (N'as_clerk', NULL, DB_NAME()), (N'as_dbo', N'far', N'other'), (N'as_owner', NULL, N'other'), (N'as_caller', NULL, NULL)) AS d(module, server, name) ON d.module = o.name`,
  `CREATE VIEW cat.synonyms AS SELECT SCHEMA_ID(N'dbo') AS schema_id, y.name, y.target AS base_object_name
FROM (VALUES (N'here', N'[dbo].[Orders]'), (N'own', QUOTENAME(DB_NAME()) + N'.[dbo].[Orders]'), (N'other', N'[other].[dbo].[Orders]')) AS y(name, target)`,
]

/** What each probe must find there, and nothing else. */
const FOUND: Readonly<Record<string, readonly string[]>> = {
  'temporal-table': ['dbo.prices (its history in dbo.prices_then)', 'dbo.prices_then (history)'],
  'system-time-period': ['dbo.spans'],
  'memory-optimized-table': ['dbo.carts'],
  'file-table': ['dbo.files'],
  'external-table': ['dbo.far'],
  'graph-table': ['dbo.likes'],
  'ledger-table': ['dbo.booked'],
  'disabled-key': ['dbo.old.uq_off'],
  'partitioned-table': ['dbo.spans (scheme by_year, function years, 12 partitions)'],
  'compressed-table': ['dbo.old (PAGE)'],
  'other-filegroup': ['dbo.far (slow)'],
  'statistics-not-carried': ['dbo.plain.by_hand'],
  'full-text-index': ['dbo.old'],
  'selective-xml-index': ['dbo.plain.ix_some'],
  'ansi-nulls-off': ['dbo.old'],
  'foreign-key-disabled': ['dbo.plain.fk_off'],
  'check-disabled': ['dbo.old.ck_off'],
  'change-tracking': ['dbo.plain'],
  'change-data-capture': ['dbo.watched'],
  'replicated-table': ['dbo.sent'],
  'file-stream-column': ['dbo.plain.scan'],
  'column-set': ['dbo.plain.sparse'],
  'encrypted-column': ['dbo.plain.card'],
  'masked-column': ['dbo.plain.phone'],
  'clr-assembly': ['Shop.Clr'],
  'ddl-trigger': ['of_database'],
  'service-broker': ['orders'],
  'row-level-security': ['tenants'],
  'security-policy': ['resting'],
  'encryption-key': ['cards'],
  certificate: ['mail'],
  'plan-guide': ['hint'],
  'other-database': ['dbo.as_dbo (far.other)', 'dbo.as_owner (other)'],
  'synonym-elsewhere': ['dbo.other ([other].[dbo].[Orders])'],
  'execute-as-user': ['dbo.as_clerk (as clerk)'],
  'change-data-capture-on': ['this one'],
  'several-moments': ['this one'],
}

const TEXTS = new Set(['name', 'type'])
const literal = (column: string, row: Row): string => {
  const value = row[column]
  if (value === undefined && !TEXTS.has(column)) return 'CONVERT(int, 0)'
  if (typeof value === 'number') return `CONVERT(int, ${value})`
  return value == null ? (TEXTS.has(column) ? "N''" : 'CONVERT(int, NULL)') : `CONVERT(nvarchar(128), N'${value}')`
}

const viewSql = ({ view, columns, rows }: Catalog): string =>
  `CREATE VIEW cat.${view} AS ${rows
    .map(
      (row) =>
        `SELECT ${columns.map((column) => `${literal(column, row)} AS ${column}`).join(', ')}, SCHEMA_ID(N'dbo') AS schema_id`,
    )
    .join(' UNION ALL ')}`

describe.skipIf(MSSQL_URL === undefined)(mssqlTitle('what a SQL Server’s catalog tells of things that aren’t carried'), () => {
  // No server here has them all: the questions are put to views of the same columns, with a row of each kind.
  it('is found by the question for it, and by no other', async () => {
    const server = await connectTestMssql()
    const made = await server.database()
    try {
      const found = await made.use(async (session) => {
        await session.batch('CREATE SCHEMA cat')
        await session.batch(
          "CREATE VIEW cat.schemas AS SELECT SCHEMA_ID(N'dbo') AS schema_id, CONVERT(nvarchar(128), N'dbo') AS name",
        )
        for (const sql of [...CATALOG.map(viewSql), ...OF_THE_SERVER]) await session.batch(sql)
        const all: Record<string, readonly string[]> = {}
        for (const probe of PROBES.filter(({ code }) => code in FOUND)) {
          const { rows } = await session.query(probe.sql.replaceAll(/\bsys\./g, 'cat.'))
          all[probe.code] = rows.map(([name]) => String(name).replaceAll(made.name, 'this one')).toSorted()
        }
        return all
      })
      expect(found).toEqual(FOUND)
    } finally {
      await made.drop()
      await server.close()
    }
  })
})
