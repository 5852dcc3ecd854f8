import type { Finding } from '../../base/errors.ts'
import type { CatalogView } from './catalog.ts'

/**
 * What this kind of server can have and migrate doesn't carry, each with a query that names it. A probe is only asked of a server
 * whose catalog has the column that it needs: what came with a later version isn't there before.
 */
export interface Probe {
  /** Catalog view and column, as in sys.tables.temporal_type. */
  readonly needs: readonly [view: CatalogView, column: string]
  /** Selects [name] and [table], the full name of the table that it is about or null. */
  readonly sql: string
  readonly severity: Finding['severity']
  readonly code: string
  readonly message: (name: string) => string
  readonly hint: string
}

export const SKIP = 'Leave the table out (`tables: { NAME: skip }`) and carry it by hand, or change it on the old host first.'
export const BY_HAND = 'Create it on the new host by hand; the rest is carried.'
