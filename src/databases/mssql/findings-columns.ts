import { type Probe, SKIP } from './probe.ts'

const column = (where: string): string =>
  `SELECT s.name + N'.' + t.name + N'.' + c.name AS [name], s.name + N'.' + t.name AS [table] FROM sys.columns c JOIN sys.tables t ON t.object_id = c.object_id
JOIN sys.schemas s ON s.schema_id = t.schema_id WHERE t.is_ms_shipped = 0 AND (${where}) ORDER BY [name]`

/** char and binary that may be null, varchar and varbinary: without ANSI_PADDING they lose what stands at their end. */
const unpadded = (types: string, more = ''): string =>
  column(
    `c.is_ansi_padded = 0 AND c.max_length > 0${more} AND TYPE_NAME(c.system_type_id) IN (${types}) AND NOT EXISTS (SELECT 1 FROM sys.computed_columns x WHERE x.object_id = c.object_id AND x.column_id = c.column_id)`,
  )

export const COLUMNS: readonly Probe[] = [
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
    needs: ['index_columns', 'key_ordinal'],
    sql: column(
      "TYPE_NAME(c.system_type_id) = N'sql_variant' AND EXISTS (SELECT 1 FROM sys.index_columns x JOIN sys.indexes i ON i.object_id = x.object_id AND i.index_id = x.index_id WHERE i.is_primary_key = 1 AND x.object_id = c.object_id AND x.column_id = c.column_id)",
    ),
    severity: 'info',
    code: 'variant-in-key',
    message: (name) =>
      `${name} is a sql_variant in a primary key: equal values of it may be of different types, so its table’s rows are told apart by another unique key, or else by all that they hold.`,
    hint: 'The key itself is carried as it is.',
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
    message: (name) => `${name} is masked; the new host shows the plain value to whoever may read it.`,
    hint: 'Add the mask there: ALTER TABLE … ALTER COLUMN … ADD MASKED WITH (FUNCTION = …).',
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
  {
    needs: ['columns', 'is_ansi_padded'],
    sql: unpadded("N'char', N'binary'", ' AND c.is_nullable = 1'),
    severity: 'error',
    code: 'unpadded-fixed-column',
    message: (name) =>
      `${name} was made with ANSI_PADDING OFF: its values would get blanks or zeros at their end on the new host.`,
    hint: 'Make it varchar or varbinary on the old host, or leave its table out (`tables: { NAME: skip }`).',
  },
  {
    needs: ['columns', 'system_type_id'],
    sql: unpadded("N'varchar', N'varbinary'"),
    severity: 'info',
    code: 'unpadded-column',
    message: (name) =>
      `${name} was made with ANSI_PADDING OFF: its values are carried as they are, but the new host keeps blanks or zeros at the end of later ones.`,
    hint: 'Nothing to do unless the shop relies on the server to cut them off.',
  },
]
