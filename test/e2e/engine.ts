/** A row as text, by column; NULL is null. */
export type TextRow = Readonly<Record<string, string | null>>

/** The story's shop on one host, from the side of its customers and staff: no code of migrate is used here. */
export interface StoryDatabase {
  /** For the playbook, password included. */
  readonly url: string
  /** The same database for an account that may connect and read, nothing else. */
  readonly readOnlyUrl: string
  /** For what the host's administrator does; absent where the tests have no such account. */
  readonly superuserUrl?: string
  register(email: string, name: string): Promise<string>
  /** One order with two items, in one transaction, as the shop's checkout does it; its id. */
  order(customerId: string, total: string): Promise<string>
  rows(table: StoryTable): Promise<readonly TextRow[]>
  insert(table: StoryTable, values: TextRow): Promise<void>
  /** Names of all tables, sorted. */
  tables(): Promise<readonly string[]>
  execute(sql: string): Promise<void>
}

export interface StoryEngine {
  readonly name: string
  /** At most so many to the new host, where the server at hand can't take more at once; 4 when absent. */
  readonly connections?: number
  /** An old host's database with the shop in it, and an empty one, on two servers (or two databases of one server). */
  start(): Promise<StoryServers>
  /** Creates FURTHER_TABLES. */
  readonly further: readonly string[]
}

export interface StoryServers {
  readonly old: StoryDatabase
  readonly new: StoryDatabase
  stop(): Promise<void>
}

export const STORY_TABLES = {
  Customers: ['CustomerID', 'Email', 'Name', 'Since'],
  Products: ['ProductID', 'Title', 'Price', 'UnitsInStock'],
  Orders: ['OrderID', 'CustomerID', 'Reference', 'Total', 'PlacedAt'],
  OrderItems: ['OrderItemID', 'OrderID', 'ProductID', 'Quantity', 'Price'],
  OrderLog: ['LogID', 'OrderID', 'What'],
  Sessions: ['SessionID', 'Data'],
} as const
/**
 * What some stories need besides. Addresses are numbered and say whose they are without a foreign key; a password's key is its
 * customer, with one.
 */
const FURTHER_TABLES = {
  Addresses: ['AddressID', 'CustomerID', 'Street'],
  Passwords: ['CustomerID', 'Hash'],
} as const
export type StoryTable = keyof typeof STORY_TABLES | keyof typeof FURTHER_TABLES
export const columnsOf = (table: StoryTable): readonly string[] => ({ ...STORY_TABLES, ...FURTHER_TABLES })[table]

export const REGULARS = 60
export const EARLIER_ORDERS = 300

/** Fills the old shop: what was there before the newspaper. */
export async function openForBusiness(shop: StoryDatabase): Promise<void> {
  for (let n = 1; n <= REGULARS; n += 1) await shop.register(`regular${n}@example.com`, `Regular ${n} Ωmega 👕`)
  for (let n = 1; n <= EARLIER_ORDERS; n += 1) await shop.order(String(1 + (n % REGULARS)), `${n}.9900`)
}

/** A table's content as one comparable text a row. */
export const contentOf = async (shop: StoryDatabase, table: StoryTable): Promise<readonly string[]> =>
  (await shop.rows(table)).map((row) => JSON.stringify(row)).sort()

/** Everything in a shop's database. */
export const everything = async (shop: StoryDatabase): Promise<Readonly<Record<string, readonly string[]>>> => {
  const tables = await shop.tables()
  const present = Object.keys(STORY_TABLES).filter((name) => tables.some((table) => table.toLowerCase() === name.toLowerCase()))
  const content: Record<string, readonly string[]> = { tables }
  for (const name of present) content[name] = await contentOf(shop, name as StoryTable)
  return content
}
