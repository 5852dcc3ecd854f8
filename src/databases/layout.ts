import type { Database } from './port.ts'
import type { Layout } from './schema.ts'

/** A database's layout as it is now: asked for alone where the server gives it for less than its whole schema. */
export const layoutOf = async (database: Database): Promise<Layout> => (await database.layout?.()) ?? (await database.schema())
