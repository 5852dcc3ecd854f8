import type { Finding } from '../base/errors.ts'
import { findTable, fullName, type Table } from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'
import { trackedTables } from './rules.ts'
import { schemaForCheck } from './schema-seen.ts'
import { LOOKS_LIKE_ORDERS } from './watch-traffic.ts'
import type { World } from './world.ts'

/**
 * Tables of orders whose rows the database doesn't number (GUIDs, numbers of the shop's own): the watch goes by numbers, and would see
 * nobody order. `orders`: the table that the playbook names; those that are called so when absent. Read-only.
 */
export async function cantSeeOrders(world: World, orders: string | undefined, run: StepRun): Promise<readonly Finding[]> {
  const { database } = world.old
  if (database === undefined) return []
  const schema = await schemaForCheck(run, database)
  const numbered = new Set(schema.identities.map(({ table }) => fullName(table)))
  const unseen = ordersTables(trackedTables(world, schema), orders).filter(({ name }) => !numbered.has(fullName(name)))
  if (unseen.length === 0) return []
  const names = unseen.map((table) => fullName(table.name)).join(', ')
  return [
    {
      severity: 'warning',
      code: 'watch-blind-to-orders',
      message: `The database hands out no numbers for ${names}, and the watch goes by those: it doesn't see new rows there, and may count the old host as drained while customers still order on it.`,
      hint: 'Give old.logs, so that hits are counted too, and close the old shop before the last reconcile (close-old), or follow it afterwards: migrate reconcile PLAYBOOK --follow.',
    },
  ]
}

function ordersTables(tables: readonly Table[], orders: string | undefined): readonly Table[] {
  if (orders === undefined) return tables.filter((table) => LOOKS_LIKE_ORDERS.test(table.name.name))
  const found = findTable(tables, orders)
  return found === undefined || found === 'ambiguous' ? [] : [found]
}
