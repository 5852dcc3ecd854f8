import { THIS_DATABASE } from './catalog.ts'
import { BY_HAND, type Probe } from './probe.ts'

/** A probe of what belongs to no table. */
const named = (expression: string, rest: string): string =>
  `SELECT DISTINCT ${expression} AS [name], CONVERT(nvarchar(300), NULL) AS [table] FROM ${rest} ORDER BY [name]`

const object = (alias: string): string => `OBJECT_SCHEMA_NAME(${alias}.object_id) + N'.' + OBJECT_NAME(${alias}.object_id)`

/** Code that is not T-SQL text, or that leans on something outside the database. */
const MODULES: readonly Probe[] = [
  {
    needs: ['assemblies', 'name'],
    sql: named('name', "sys.assemblies WHERE name <> N'Microsoft.SqlServer.Types'"),
    severity: 'error',
    code: 'clr-assembly',
    message: (name) => `The database has the CLR assembly ${name}, which is not carried, nor is what uses it.`,
    hint: 'Deploy the assembly on the new host; many shared hosts forbid it, so ask first.',
  },
  {
    needs: ['triggers', 'parent_class'],
    sql: named('name', 'sys.triggers WHERE parent_class = 0 AND is_ms_shipped = 0'),
    severity: 'warning',
    code: 'ddl-trigger',
    message: (name) => `DDL trigger ${name} of the database is not carried.`,
    hint: BY_HAND,
  },
  {
    needs: ['numbered_procedures', 'object_id'],
    sql: named(object('n'), 'sys.numbered_procedures n'),
    severity: 'warning',
    code: 'numbered-procedure',
    message: (name) => `Procedure ${name} has further numbers (;2), which are not carried.`,
    hint: BY_HAND,
  },
  {
    needs: ['objects', 'type'],
    sql: named(object('o'), "sys.objects o WHERE o.type IN ('AF', 'FS', 'FT', 'PC', 'TA', 'X', 'RF') AND o.is_ms_shipped = 0"),
    severity: 'warning',
    code: 'module-not-carried',
    message: (name) => `${name} is a CLR, extended or replication module, which is not carried.`,
    hint: BY_HAND,
  },
  {
    needs: ['sql_modules', 'uses_native_compilation'],
    sql: named(object('m'), 'sys.sql_modules m WHERE m.uses_native_compilation = 1'),
    severity: 'warning',
    code: 'native-module',
    message: (name) => `${name} is natively compiled, which needs memory-optimized tables; it is not carried.`,
    hint: 'Create it on the new host as an ordinary one, or after its tables were converted there.',
  },
  // OWNER is -2 there, which is nobody's number ("sys.sql_modules"); dbo is 1, and in every database.
  {
    needs: ['sql_modules', 'execute_as_principal_id'],
    sql: named(
      `${object('m')} + N' (as ' + p.name + N')'`,
      'sys.sql_modules m JOIN sys.database_principals p ON p.principal_id = m.execute_as_principal_id WHERE OBJECT_NAME(m.object_id) IS NOT NULL AND p.principal_id <> 1',
    ),
    severity: 'warning',
    code: 'execute-as-user',
    message: (name) => `${name} runs as a named user, and can't be created where that user isn't.`,
    hint: 'Create the user in the new database before restore-database.',
  },
  {
    needs: ['sql_expression_dependencies', 'referenced_database_name'],
    sql: named(
      `OBJECT_SCHEMA_NAME(d.referencing_id) + N'.' + OBJECT_NAME(d.referencing_id) + N' (' + ISNULL(d.referenced_server_name + N'.', N'') + d.referenced_database_name + N')'`,
      'sys.sql_expression_dependencies d WHERE d.referenced_database_name IS NOT NULL AND d.referenced_database_name <> DB_NAME() AND OBJECT_NAME(d.referencing_id) IS NOT NULL',
    ),
    severity: 'warning',
    code: 'other-database',
    message: (name) => `${name} refers to another database or server, which the new host may not have.`,
    hint: 'Look at what it does; a view on a database that is not there can not be created.',
  },
  {
    needs: ['synonyms', 'base_object_name'],
    sql: named(
      `SCHEMA_NAME(y.schema_id) + N'.' + y.name + N' (' + y.base_object_name + N')'`,
      'sys.synonyms y WHERE PARSENAME(y.base_object_name, 3) IS NOT NULL AND PARSENAME(y.base_object_name, 3) <> DB_NAME()',
    ),
    severity: 'warning',
    code: 'synonym-elsewhere',
    message: (name) => `Synonym ${name} stands for something in another database, which the new host may not have.`,
    hint: 'Point it somewhere else there after the migration.',
  },
]

const TYPES: readonly Probe[] = [
  {
    needs: ['types', 'rule_object_id'],
    sql: named(
      "SCHEMA_NAME(y.schema_id) + N'.' + y.name",
      'sys.types y WHERE y.is_user_defined = 1 AND (y.rule_object_id <> 0 OR y.default_object_id <> 0)',
    ),
    severity: 'warning',
    code: 'bound-type-rule',
    message: (name) => `Type ${name} has a rule or default bound to it, which is not carried.`,
    hint: 'Columns of that type that have it are named by themselves; turn those into constraints.',
  },
  {
    needs: ['table_types', 'is_memory_optimized'],
    sql: named("SCHEMA_NAME(y.schema_id) + N'.' + y.name", 'sys.table_types y WHERE y.is_memory_optimized = 1'),
    severity: 'warning',
    code: 'memory-optimized-type',
    message: (name) => `Table type ${name} is memory-optimized; on the new host it becomes an ordinary one.`,
    hint: 'If speed depends on it, convert it there afterwards.',
  },
]

const SERVICES: readonly Probe[] = [
  {
    needs: ['service_queues', 'is_ms_shipped'],
    sql: named('name', 'sys.service_queues WHERE is_ms_shipped = 0'),
    severity: 'warning',
    code: 'service-broker',
    message: (name) => `Service Broker queue ${name} is not carried, nor are its messages.`,
    hint: 'Empty the queue before the cutover and create services and queues on the new host.',
  },
  {
    needs: ['security_policies', 'is_enabled'],
    sql: named('name', 'sys.security_policies WHERE is_enabled = 1'),
    severity: 'error',
    code: 'row-level-security',
    message: (name) => `Security policy ${name} hides rows: what it hides from this account would not be copied.`,
    hint: 'Switch the policy off for the migration (ALTER SECURITY POLICY … WITH (STATE = OFF)) and create it on the new host.',
  },
  {
    needs: ['security_policies', 'is_not_for_replication'],
    sql: named('name', 'sys.security_policies WHERE is_enabled = 0'),
    severity: 'warning',
    code: 'security-policy',
    message: (name) => `Security policy ${name}, which is off, is not carried: on the new host everybody sees every row.`,
    hint: BY_HAND,
  },
  {
    needs: ['symmetric_keys', 'symmetric_key_id'],
    sql: named('name', "sys.symmetric_keys WHERE name <> N'##MS_DatabaseMasterKey##'"),
    severity: 'warning',
    code: 'encryption-key',
    message: (name) => `Symmetric key ${name} is not carried: values that were encrypted with it can't be read on the new host.`,
    hint: 'Create it there with the same KEY_SOURCE and IDENTITY_VALUE; without these, decrypt the values before the cutover.',
  },
  {
    needs: ['certificates', 'certificate_id'],
    sql: named('name', "sys.certificates WHERE name NOT LIKE N'##%'"),
    severity: 'warning',
    code: 'certificate',
    message: (name) => `Certificate ${name} is not carried: what it signs or protects is without it on the new host.`,
    hint: 'BACKUP CERTIFICATE … WITH PRIVATE KEY on the old host, CREATE CERTIFICATE … FROM FILE on the new one.',
  },
  {
    needs: ['plan_guides', 'name'],
    sql: named('name', 'sys.plan_guides'),
    severity: 'info',
    code: 'plan-guide',
    message: (name) => `Plan guide ${name} is not carried.`,
    hint: BY_HAND,
  },
]

/** What holds of the whole database. */
const DATABASE: readonly Probe[] = [
  {
    needs: ['databases', 'is_cdc_enabled'],
    sql: named('d.name', `sys.databases d WHERE ${THIS_DATABASE} AND d.is_cdc_enabled = 1`),
    severity: 'warning',
    code: 'change-data-capture-on',
    message: (name) =>
      `${name} has change data capture: its schema cdc, with the user, tables and functions there, belongs to the server and isn't moved.`,
    hint: 'Let its readers catch up before the cutover. EXEC sys.sp_cdc_enable_db on the new host makes it anew, where the edition has it.',
  },
  {
    needs: ['tables', 'is_memory_optimized'],
    sql: named(
      'd.name',
      `sys.databases d WHERE ${THIS_DATABASE} AND d.snapshot_isolation_state = 1 AND EXISTS (SELECT 1 FROM sys.tables t WHERE t.is_memory_optimized = 1)`,
    ),
    severity: 'info',
    code: 'several-moments',
    message: (name) =>
      `${name} allows SNAPSHOT isolation, but has memory-optimized tables, which no such transaction can read (error 41332): its rows are saved as of several moments, not of one.`,
    hint: 'Nothing to do: what changes meanwhile is found and carried. For a copy of one moment, make them ordinary tables on the old host first.',
  },
]

export const OTHERS: readonly Probe[] = [...MODULES, ...TYPES, ...SERVICES, ...DATABASE]
