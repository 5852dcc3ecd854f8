import { sessionSettings } from './values.ts'

/**
 * Memory for building an index, for our own connections: what the server gives itself to hold pages, shared among as many as may build
 * at a time, and never less than its own setting nor more than 1 GiB ("Resource Consumption", maintenance_work_mem).
 */
const indexMemory = (connections: number): string => {
  const bytes = (name: string): string => `pg_catalog.pg_size_bytes(pg_catalog.current_setting('${name}'))`
  const share = `least(${bytes('shared_buffers')} / ${connections}, 1073741824)`
  return `pg_catalog.set_config('maintenance_work_mem', (greatest(${bytes('maintenance_work_mem')}, ${share}) / 1024)::text || 'kB', false)`
}

/** Limits that only later releases know (14, 17): they would end a snapshot, or a connection that is kept for the next question. */
const UNLIMITED = ['idle_session_timeout', 'transaction_timeout']
  .map(
    (name) =>
      `CASE WHEN pg_catalog.current_setting('${name}', true) IS NOT NULL THEN pg_catalog.set_config('${name}', '0', false) END`,
  )
  .join(', ')

/** An expression, not null, that sets what every session of ours has; `connections`: how many of them there may be. */
export function settingsSql(statementTimeoutMs: number, connections: number): string {
  const settings = Object.entries({ ...sessionSettings, statement_timeout: String(statementTimeoutMs) })
  const each = settings.map(([name, value]) => `pg_catalog.set_config('${name}', '${value}', false)`)
  return `pg_catalog.concat(${[...each, indexMemory(connections), UNLIMITED].join(', ')})`
}
