import { z } from 'zod'
import type { Finding } from '../../base/errors.ts'
import { catalogColumns } from './catalog.ts'
import type { Session } from './session.ts'

/**
 * What this kind of server can have and migrate doesn't carry, each with a query that names it. A probe is only asked of a server
 * whose catalog has the column that it needs: what came with a later version isn't there before.
 */
export interface Probe {
  /** Catalog view and column, as in sys.tables.temporal_type. */
  readonly needs: readonly [view: string, column: string]
  /** Selects [name]. */
  readonly sql: string
  readonly severity: Finding['severity']
  readonly code: string
  readonly message: (name: string) => string
  readonly hint: string
}

const table = (from: string, where: string): string =>
  `SELECT s.name + N'.' + t.name AS [name] FROM ${from} JOIN sys.schemas s ON s.schema_id = t.schema_id WHERE ${where} ORDER BY [name]`

const column = (where: string): string =>
  `SELECT s.name + N'.' + t.name + N'.' + c.name AS [name] FROM sys.columns c JOIN sys.tables t ON t.object_id = c.object_id
JOIN sys.schemas s ON s.schema_id = t.schema_id WHERE ${where} ORDER BY [name]`

const SKIP = 'Leave the table out (`tables: { NAME: skip }`) and carry it by hand, or change it on the old host first.'
const BY_HAND = 'Create it on the new host by hand; the rest is carried.'

const TABLES: readonly Probe[] = [
  {
    needs: ['tables', 'temporal_type'],
    sql: table('sys.tables t', 't.temporal_type <> 0'),
    severity: 'error',
    code: 'temporal-table',
    message: (name) => `${name} is part of a temporal table: its history can't be written row by row.`,
    hint: SKIP,
  },
  {
    needs: ['tables', 'is_memory_optimized'],
    sql: table('sys.tables t', 't.is_memory_optimized = 1'),
    severity: 'warning',
    code: 'memory-optimized-table',
    message: (name) => `${name} is memory-optimized; on the new host it becomes an ordinary table, without its hash indexes.`,
    hint: 'If speed depends on it, convert the table there afterwards.',
  },
  {
    needs: ['tables', 'is_filetable'],
    sql: table('sys.tables t', 't.is_filetable = 1'),
    severity: 'error',
    code: 'file-table',
    message: (name) => `${name} is a FileTable; its files can't be carried as rows.`,
    hint: SKIP,
  },
  {
    needs: ['tables', 'is_external'],
    sql: table('sys.tables t', 't.is_external = 1'),
    severity: 'error',
    code: 'external-table',
    message: (name) => `${name} is an external table; its rows live elsewhere.`,
    hint: SKIP,
  },
  {
    needs: ['tables', 'is_node'],
    sql: table('sys.tables t', 't.is_node = 1 OR t.is_edge = 1'),
    severity: 'error',
    code: 'graph-table',
    message: (name) => `${name} is a graph table, whose internal ids can't be written.`,
    hint: SKIP,
  },
  {
    needs: ['tables', 'ledger_type'],
    sql: table('sys.tables t', 't.ledger_type <> 0'),
    severity: 'error',
    code: 'ledger-table',
    message: (name) => `${name} is a ledger table: its history can't be written row by row.`,
    hint: SKIP,
  },
  {
    needs: ['partition_schemes', 'data_space_id'],
    sql: table(
      'sys.tables t JOIN sys.indexes i ON i.object_id = t.object_id AND i.index_id < 2 JOIN sys.partition_schemes p ON p.data_space_id = i.data_space_id',
      '1 = 1',
    ),
    severity: 'warning',
    code: 'partitioned-table',
    message: (name) => `${name} is partitioned; on the new host it stands in one piece.`,
    hint: 'Partition it there afterwards if it must be.',
  },
  {
    needs: ['fulltext_indexes', 'object_id'],
    sql: table('sys.tables t JOIN sys.fulltext_indexes f ON f.object_id = t.object_id', '1 = 1'),
    severity: 'warning',
    code: 'full-text-index',
    message: (name) => `${name} has a full-text index, which is not carried: searches with CONTAINS fail until it is there.`,
    hint: BY_HAND,
  },
  {
    needs: ['indexes', 'type'],
    sql: `SELECT s.name + N'.' + t.name + N'.' + i.name AS [name] FROM sys.indexes i JOIN sys.tables t ON t.object_id = i.object_id
JOIN sys.schemas s ON s.schema_id = t.schema_id WHERE i.type > 2 ORDER BY [name]`,
    severity: 'warning',
    code: 'index-not-carried',
    message: (name) => `Index ${name} is an XML, spatial, columnstore or hash index, which is not carried.`,
    hint: BY_HAND,
  },
]

const COLUMNS: readonly Probe[] = [
  {
    needs: ['columns', 'is_filestream'],
    sql: column('c.is_filestream = 1'),
    severity: 'error',
    code: 'file-stream-column',
    message: (name) => `${name} keeps its bytes in a FILESTREAM.`,
    hint: SKIP,
  },
  {
    needs: ['columns', 'is_column_set'],
    sql: column('c.is_column_set = 1'),
    severity: 'error',
    code: 'column-set',
    message: (name) => `${name} is a column set of sparse columns.`,
    hint: SKIP,
  },
  {
    needs: ['columns', 'encryption_type'],
    sql: column('c.encryption_type IS NOT NULL'),
    severity: 'error',
    code: 'encrypted-column',
    message: (name) => `${name} is encrypted (Always Encrypted); its key is not with the database.`,
    hint: SKIP,
  },
  {
    needs: ['columns', 'is_masked'],
    sql: column('c.is_masked = 1'),
    severity: 'warning',
    code: 'masked-column',
    message: (name) =>
      `${name} is masked: an account without UNMASK would copy the mask, and the new host shows the plain value.`,
    hint: 'GRANT UNMASK to the account on the old host, and add the mask on the new one.',
  },
  {
    needs: ['columns', 'xml_collection_id'],
    sql: column('c.xml_collection_id <> 0'),
    severity: 'warning',
    code: 'typed-xml-column',
    message: (name) => `${name} is bound to an XML schema collection; on the new host it is plain xml.`,
    hint: BY_HAND,
  },
  {
    needs: ['columns', 'rule_object_id'],
    sql: column(
      "c.rule_object_id <> 0 OR (c.default_object_id <> 0 AND EXISTS (SELECT 1 FROM sys.objects d WHERE d.object_id = c.default_object_id AND d.type = 'D' AND d.parent_object_id = 0))",
    ),
    severity: 'error',
    code: 'bound-rule',
    message: (name) => `${name} has a rule or default bound with sp_bindrule or sp_bindefault.`,
    hint: 'Turn it into a CHECK or DEFAULT constraint on the old host (the engine has deprecated the old form since 2000).',
  },
]

const OTHERS: readonly Probe[] = [
  {
    needs: ['assemblies', 'name'],
    sql: "SELECT name AS [name] FROM sys.assemblies WHERE name <> N'Microsoft.SqlServer.Types' ORDER BY [name]",
    severity: 'error',
    code: 'clr-assembly',
    message: (name) => `The database has the CLR assembly ${name}, which is not carried, nor is what uses it.`,
    hint: 'Deploy the assembly on the new host; many shared hosts forbid it, so ask first.',
  },
  {
    needs: ['xml_schema_collections', 'xml_collection_id'],
    sql: "SELECT name AS [name] FROM sys.xml_schema_collections WHERE name <> N'sys' ORDER BY [name]",
    severity: 'warning',
    code: 'xml-schema-collection',
    message: (name) => `XML schema collection ${name} is not carried.`,
    hint: BY_HAND,
  },
  {
    needs: ['service_queues', 'is_ms_shipped'],
    sql: 'SELECT name AS [name] FROM sys.service_queues WHERE is_ms_shipped = 0 ORDER BY [name]',
    severity: 'warning',
    code: 'service-broker',
    message: (name) => `Service Broker queue ${name} is not carried, nor are its messages.`,
    hint: 'Empty the queue before the cutover and create services and queues on the new host.',
  },
  {
    needs: ['triggers', 'parent_class'],
    sql: 'SELECT name AS [name] FROM sys.triggers WHERE parent_class = 0 AND is_ms_shipped = 0 ORDER BY [name]',
    severity: 'warning',
    code: 'ddl-trigger',
    message: (name) => `DDL trigger ${name} of the database is not carried.`,
    hint: BY_HAND,
  },
  {
    needs: ['security_policies', 'object_id'],
    sql: 'SELECT name AS [name] FROM sys.security_policies ORDER BY [name]',
    severity: 'error',
    code: 'row-level-security',
    message: (name) => `Security policy ${name} hides rows: what it hides from this account would not be copied.`,
    hint: 'Switch the policy off for the migration (ALTER SECURITY POLICY … WITH (STATE = OFF)) and create it on the new host.',
  },
  {
    needs: ['numbered_procedures', 'object_id'],
    sql: 'SELECT DISTINCT OBJECT_NAME(object_id) AS [name] FROM sys.numbered_procedures ORDER BY [name]',
    severity: 'warning',
    code: 'numbered-procedure',
    message: (name) => `Procedure ${name} has further numbers (;2), which are not carried.`,
    hint: BY_HAND,
  },
  {
    needs: ['objects', 'type'],
    sql: "SELECT name AS [name] FROM sys.objects WHERE type IN ('AF', 'FS', 'FT', 'PC', 'TA', 'X', 'RF') AND is_ms_shipped = 0 ORDER BY [name]",
    severity: 'warning',
    code: 'module-not-carried',
    message: (name) => `${name} is a CLR, extended or replication module, which is not carried.`,
    hint: BY_HAND,
  },
  {
    needs: ['extended_properties', 'class'],
    sql: "SELECT CONVERT(nvarchar(20), COUNT(*)) AS [name] FROM sys.extended_properties WHERE name NOT LIKE N'microsoft[_]%' HAVING COUNT(*) > 0",
    severity: 'info',
    code: 'extended-properties',
    message: (count) => `${count} extended properties (descriptions) are not carried.`,
    hint: 'The shop works without them.',
  },
  {
    needs: ['plan_guides', 'name'],
    sql: 'SELECT name AS [name] FROM sys.plan_guides ORDER BY [name]',
    severity: 'info',
    code: 'plan-guide',
    message: (name) => `Plan guide ${name} is not carried.`,
    hint: BY_HAND,
  },
]

export const PROBES: readonly Probe[] = [...TABLES, ...COLUMNS, ...OTHERS]

/** Every probe's findings, by name. */
export async function readFindings(session: Session): Promise<readonly Finding[]> {
  const known = await catalogColumns(session, [...new Set(PROBES.map((probe) => probe.needs[0]))])
  const probes = PROBES.filter((probe) => known.has(probe.needs.join('.')))
  const rows = await session.ask(z.object({ probe: z.number(), name: z.string() }), probesSql(probes))
  return rows.flatMap((row) => {
    const probe = probes[row.probe]
    if (probe === undefined) return []
    return [{ severity: probe.severity, code: probe.code, message: probe.message(row.name), hint: probe.hint }]
  })
}

/** All probes in one answer: each is a statement of its own, since the collations of names from different views needn't agree. */
export const probesSql = (probes: readonly Probe[]): string =>
  probes.map((probe, index) => probe.sql.replace(/^SELECT (DISTINCT )?/, `SELECT $1${index} AS [probe], `)).join(';\n')
