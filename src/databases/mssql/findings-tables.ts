import { BY_HAND, type Probe, SKIP } from './probe.ts'

const TABLE = "s.name + N'.' + t.name"
const table = (from: string, where: string, name = TABLE): string =>
  `SELECT DISTINCT ${name} AS [name], ${TABLE} AS [table] FROM ${from} JOIN sys.schemas s ON s.schema_id = t.schema_id WHERE t.is_ms_shipped = 0 AND (${where}) ORDER BY [name]`

const indexes = (where: string): string =>
  table('sys.tables t JOIN sys.indexes i ON i.object_id = t.object_id', where, `${TABLE} + N'.' + i.name`)

const constraints = (view: string, where: string): string =>
  table(`sys.tables t JOIN ${view} k ON k.parent_object_id = t.object_id`, where, `${TABLE} + N'.' + k.name`)

/** Kinds of tables whose rows can't be carried. */
const KINDS: readonly Probe[] = [
  {
    needs: ['tables', 'temporal_type'],
    sql: table(
      'sys.tables t LEFT JOIN sys.tables h ON h.object_id = t.history_table_id',
      't.temporal_type <> 0',
      `${TABLE} + CASE WHEN h.name IS NULL THEN N' (history)' ELSE N' (its history in ' + SCHEMA_NAME(h.schema_id) + N'.' + h.name + N')' END`,
    ),
    severity: 'error',
    code: 'temporal-table',
    message: (name) =>
      `${name} is part of a temporal table: what customers change meanwhile would get other times on the new host, and its history can't be written.`,
    hint: 'Make both ordinary tables on the old host for the migration (ALTER TABLE … SET (SYSTEM_VERSIONING = OFF), then DROP PERIOD FOR SYSTEM_TIME) and make them temporal again on the new one; or leave both out (`tables: { NAME: skip }`).',
  },
  {
    needs: ['periods', 'object_id'],
    sql: table('sys.tables t JOIN sys.periods p ON p.object_id = t.object_id', 't.temporal_type = 0'),
    severity: 'error',
    code: 'system-time-period',
    message: (name) => `${name} has a SYSTEM_TIME period, whose columns only the server may write.`,
    hint: `ALTER TABLE … DROP PERIOD FOR SYSTEM_TIME on the old host for the migration, and add it again on the new one; or: ${SKIP}`,
  },
  {
    needs: ['tables', 'is_memory_optimized'],
    sql: table('sys.tables t', 't.is_memory_optimized = 1'),
    severity: 'warning',
    code: 'memory-optimized-table',
    message: (name) =>
      `${name} is memory-optimized; on the new host it becomes an ordinary table, its hash indexes ordinary ones. A rollback after the cutover can’t write to it on the old host, where such a table takes no part in transactions that lock rows.`,
    hint: 'If speed depends on it, convert the table there afterwards. To keep the way back open, make it an ordinary table on the old host first.',
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
    needs: ['indexes', 'is_disabled'],
    sql: indexes('i.is_disabled = 1 AND (i.index_id = 1 OR i.is_primary_key = 1 OR i.is_unique_constraint = 1)'),
    severity: 'error',
    code: 'disabled-key',
    message: (name) => `${name} is a clustered index or key that is disabled: the rows can't be read, or may break the key.`,
    hint: 'Rebuild it on the old host (ALTER INDEX … REBUILD) or drop it there.',
  },
]

/** How tables are kept, which the new host does in its own way. */
const STORAGE: readonly Probe[] = [
  {
    needs: ['partition_schemes', 'data_space_id'],
    sql: table(
      `sys.tables t JOIN sys.indexes i ON i.object_id = t.object_id AND i.index_id < 2 JOIN sys.partition_schemes p ON p.data_space_id = i.data_space_id
JOIN sys.partition_functions f ON f.function_id = p.function_id`,
      '1 = 1',
      `${TABLE} + N' (scheme ' + p.name + N', function ' + f.name + N', ' + CONVERT(nvarchar(10), f.fanout) + N' partitions)'`,
    ),
    severity: 'warning',
    code: 'partitioned-table',
    message: (name) => `${name} is partitioned; on the new host it stands in one piece.`,
    hint: 'Partition it there afterwards if it must be.',
  },
  {
    needs: ['partitions', 'data_compression'],
    sql: table(
      'sys.tables t JOIN sys.partitions p ON p.object_id = t.object_id',
      'p.data_compression IN (1, 2)',
      `${TABLE} + CASE p.data_compression WHEN 1 THEN N' (ROW)' ELSE N' (PAGE)' END`,
    ),
    severity: 'info',
    code: 'compressed-table',
    message: (name) => `${name} is compressed; on the new host it isn't, and needs more room.`,
    hint: 'ALTER TABLE … REBUILD WITH (DATA_COMPRESSION = …) there, where the edition has it.',
  },
  {
    needs: ['data_spaces', 'is_default'],
    sql: table(
      'sys.tables t JOIN sys.indexes i ON i.object_id = t.object_id JOIN sys.data_spaces d ON d.data_space_id = i.data_space_id',
      "d.is_default = 0 AND d.type = 'FG'",
      `${TABLE} + N' (' + d.name + N')'`,
    ),
    severity: 'info',
    code: 'other-filegroup',
    message: (name) => `${name} lies in a filegroup of its own; on the new host everything lies in the default one.`,
    hint: 'The shop works without it.',
  },
  {
    needs: ['stats', 'user_created'],
    sql: table('sys.tables t JOIN sys.stats k ON k.object_id = t.object_id', 'k.user_created = 1', `${TABLE} + N'.' + k.name`),
    severity: 'info',
    code: 'statistics-not-carried',
    message: (name) => `Statistics ${name}, made with CREATE STATISTICS, are not carried.`,
    hint: 'The server makes its own; create these again only where a query needs them.',
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
    needs: ['xml_indexes', 'xml_index_type'],
    sql: table(
      'sys.tables t JOIN sys.xml_indexes i ON i.object_id = t.object_id',
      'i.xml_index_type > 1',
      `${TABLE} + N'.' + i.name`,
    ),
    severity: 'warning',
    code: 'selective-xml-index',
    message: (name) => `Index ${name} is a selective XML index, which is not carried.`,
    hint: BY_HAND,
  },
  {
    needs: ['tables', 'uses_ansi_nulls'],
    sql: table('sys.tables t', 't.uses_ansi_nulls = 0'),
    severity: 'info',
    code: 'ansi-nulls-off',
    message: (name) =>
      `${name} was made with ANSI_NULLS OFF; on the new host it is ON: a check or computed column that compares with NULL may answer otherwise.`,
    hint: 'Nothing to do unless it has such a check or column.',
  },
]

/** What is done to tables besides keeping rows. */
const SERVICES: readonly Probe[] = [
  {
    needs: ['foreign_keys', 'is_disabled'],
    sql: constraints('sys.foreign_keys', 'k.is_disabled = 1'),
    severity: 'info',
    code: 'foreign-key-disabled',
    message: (name) => `Foreign key ${name} is disabled, and stays so on the new host.`,
    hint: 'ALTER TABLE … WITH CHECK CHECK CONSTRAINT … enables it, when its rows allow it.',
  },
  {
    needs: ['check_constraints', 'is_disabled'],
    sql: constraints('sys.check_constraints', 'k.is_disabled = 1'),
    severity: 'info',
    code: 'check-disabled',
    message: (name) => `Check ${name} is disabled, and stays so on the new host.`,
    hint: 'ALTER TABLE … WITH CHECK CHECK CONSTRAINT … enables it, when its rows allow it.',
  },
  {
    needs: ['change_tracking_tables', 'object_id'],
    sql: table('sys.tables t JOIN sys.change_tracking_tables c ON c.object_id = t.object_id', '1 = 1'),
    severity: 'warning',
    code: 'change-tracking',
    message: (name) => `${name} has change tracking, which begins anew on the new host once it is switched on there.`,
    hint: 'Whoever synchronises with it must begin anew too.',
  },
  {
    needs: ['tables', 'is_tracked_by_cdc'],
    sql: table('sys.tables t', 't.is_tracked_by_cdc = 1'),
    severity: 'warning',
    code: 'change-data-capture',
    message: (name) => `${name} has change data capture, whose records are not carried.`,
    hint: 'Let its readers catch up before the cutover, and enable it on the new host.',
  },
  {
    needs: ['tables', 'is_published'],
    sql: table('sys.tables t', 't.is_published = 1 OR t.is_merge_published = 1 OR t.is_schema_published = 1'),
    severity: 'warning',
    code: 'replicated-table',
    message: (name) => `${name} is published for replication, which is not carried.`,
    hint: 'Set up the publication on the new host, and its subscribers anew.',
  },
]

export const TABLES: readonly Probe[] = [...KINDS, ...STORAGE, ...SERVICES]
