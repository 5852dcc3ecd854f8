import { describe, expect, it } from 'vitest'
import { canHold, isLikely, isNothing, type Suspect, suspectColumns } from '../../src/databases/plan/suspects.ts'
import { type Column, type ForeignKey, type Identity, ORDINARY, type Table } from '../../src/databases/schema.ts'

const column = (name: string, type: string, identity = false): Column => ({
  name,
  type,
  codec: type,
  ...ORDINARY,
  identity: identity ? 'by-default' : null,
})

/** `Orders(OrderID# int, CustomerID int)`: `#` marks an identity, the first column is the key; `+` joins further columns to it. */
function table(text: string): Table {
  const [, name = '', body = ''] = /^([\w ]+)\((.*)\)$/.exec(text) ?? []
  const columns = body.split(/, /).map((part) => {
    const [, columnName = '', marks = '', type = ''] = /^(\w+)([#+]*) (.+)$/.exec(part) ?? []
    return { column: column(columnName, type, marks.includes('#')), isKey: marks.includes('+') }
  })
  const key = columns.flatMap((each, at) => (at === 0 || each.isKey ? [each.column.name] : []))
  return {
    name: { schema: 'dbo', name },
    columns: columns.map((each) => each.column),
    primaryKey: { name: 'pk', columns: key, sql: '' },
    uniqueKeys: [],
    key,
    triggers: [],
  }
}

const reference = (text: string): ForeignKey => {
  const [, child = '', name = '', parent = '', parentColumn = ''] = /^([\w ]+)\.(\w+) -> ([\w ]+)\.(\w+)$/.exec(text) ?? []
  const of = (each: string) => ({ schema: 'dbo', name: each })
  return {
    name: text,
    table: of(child),
    columns: [name],
    parent: of(parent),
    parentColumns: [parentColumn],
    enforced: true,
    sql: '',
  }
}

interface Told {
  readonly foreignKeys?: readonly ForeignKey[]
  readonly declared?: readonly string[]
  readonly dismissed?: readonly string[]
}

function suspectsOf(
  tables: readonly string[],
  { foreignKeys = [], declared = [], dismissed = [] }: Told = {},
): readonly string[] {
  const made = tables.map(table)
  const identities: readonly Identity[] = []
  const found = suspectColumns({
    schema: { foreignKeys, identities },
    tables: made,
    declared: declared.map(reference),
    dismissed: dismissed.map(reference),
  })
  return found.map(([first]) => `${first?.child.name.name}.${first?.column} -> ${first?.parent.name.name}.${first?.parentColumn}`)
}

const SHOP = [
  'Customers(CustomerID# int, Email nvarchar(80))',
  'Orders(OrderID# int, CustomerID int, BillingAddressID int, Total decimal(12,2))',
]

describe('columns that look like references', () => {
  it('are found by the name of the key, whatever the spelling and the type’s width', () => {
    expect(suspectsOf(SHOP)).toEqual(['Orders.CustomerID -> Customers.CustomerID'])
    expect(suspectsOf(['customers(id# bigint)', 'orders(id# bigint, customer_id int)'])).toEqual([
      'orders.customer_id -> customers.id',
    ])
    expect(suspectsOf(['Nop_Customer(CustomerId# int)', 'Nop_Order(OrderId# int, customerid int)'])).toEqual([
      'Nop_Order.customerid -> Nop_Customer.CustomerId',
    ])
    expect(
      suspectsOf([
        'ps_customer(id_customer# int(10) unsigned)',
        'ps_orders(id_order# int(10) unsigned, id_customer int(10) unsigned)',
      ]),
    ).toEqual(['ps_orders.id_customer -> ps_customer.id_customer'])
    expect(
      suspectsOf([
        'wp_users(ID# bigint(20) unsigned)',
        'wp_usermeta(umeta_id# bigint(20) unsigned, user_id bigint(20) unsigned)',
      ]),
    ).toEqual(['wp_usermeta.user_id -> wp_users.ID'])
    expect(
      suspectsOf(['companies(id# int)', 'addresses(id# int)', 'people(id# int, company_id int, home_address_id int)']),
    ).toEqual(['people.company_id -> companies.id', 'people.home_address_id -> addresses.id'])
  })

  it('are found by the part that the other row plays, and in their own table by that alone', () => {
    expect(suspectsOf([...SHOP, 'Addresses(AddressID# int)'])).toContain('Orders.BillingAddressID -> Addresses.AddressID')
    expect(suspectsOf(['Categories(CategoryID# int, ParentCategoryID int, CategoryNumber int)'])).toEqual([
      'Categories.ParentCategoryID -> Categories.CategoryID',
    ])
    expect(suspectsOf(['wp_posts(ID# bigint(20), post_parent bigint(20), post_id bigint(20))'])).toEqual([
      'wp_posts.post_parent -> wp_posts.ID',
    ])
  })

  it('are looked for in the nearest table first', () => {
    expect(
      suspectsOf([
        'wp_wc_orders(id# bigint(20))',
        'wp_wc_order_stats(order_id bigint(20), parent_id bigint(20))',
        'wp_woocommerce_order_items(order_item_id# bigint(20), order_id bigint(20))',
        'wp_woocommerce_order_itemmeta(meta_id# bigint(20), order_item_id bigint(20))',
      ]),
    ).toEqual([
      'wp_wc_order_stats.order_id -> wp_wc_orders.id',
      'wp_wc_order_stats.parent_id -> wp_wc_order_stats.order_id',
      'wp_woocommerce_order_items.order_id -> wp_wc_orders.id',
      'wp_woocommerce_order_itemmeta.order_item_id -> wp_woocommerce_order_items.order_item_id',
    ])
  })

  it('are in keys of several columns too, but are not the table’s own number', () => {
    expect(suspectsOf(['Orders(OrderID# int)', 'OrderLines(OrderID int, Line+ int, OrderLineID# int)'])).toEqual([
      'OrderLines.OrderID -> Orders.OrderID',
    ])
  })

  it('are not what only shares a word, a small list’s name, another type or another part of the shop', () => {
    expect(
      suspectsOf([
        'Orders(OrderID# int)',
        'Order_Status(StatusID# int)',
        'Payments(PaymentID# int, Valid bit, Paid int, OrderTotal int)',
      ]),
    ).toEqual([])
    expect(
      suspectsOf(['Customers(CustomerID# int)', 'Orders(OrderID# int, CustomerID datetime2, CustomerCode varchar(10))']),
    ).toEqual([])
    expect(suspectsOf(['Orders(OrderID# int, OrderGUID uniqueidentifier, OrderNo int)'])).toEqual([])
    expect(
      suspectsOf(['order(id# int)', 'order_status(id# int)', 'order_note(id# int)', 'product(id# int, payment_status_id int)']),
    ).toEqual([])
  })

  it('are not those that point at whatever another column names', () => {
    const objects = ['objects(id# int)', 'items(id# int)']
    expect(suspectsOf([...objects, 'notes(id# int, object_id int, object_type varchar(20))'])).toEqual([])
    expect(suspectsOf([...objects, 'notes(id# int, item_id int, item_type varchar(20))'])).toEqual([])
    expect(suspectsOf([...objects, 'notes(id# int, item_id int)'])).toEqual(['notes.item_id -> items.id'])
    expect(suspectsOf(['products(id# int)', 'order_lines(id# int, product_id int, product_type varchar(20))'])).toEqual([
      'order_lines.product_id -> products.id',
    ])
  })

  it('are no longer suspected once they are declared or dismissed; a foreign key that is switched off declares nothing', () => {
    const line = 'Orders.CustomerID -> Customers.CustomerID'
    expect(suspectsOf(SHOP, { declared: [line] })).toEqual([])
    expect(suspectsOf(SHOP, { dismissed: [line] })).toEqual([])
    expect(suspectsOf(SHOP, { foreignKeys: [reference(line)] })).toEqual([])
    expect(suspectsOf(SHOP, { foreignKeys: [{ ...reference(line), enforced: false }] })).toEqual([line])
    expect(
      suspectsOf(['Kunden(Nr# int)', 'Orders(OrderID# int, Besteller int)'], {
        foreignKeys: [{ ...reference('Orders.Besteller -> Kunden.Nr'), enforced: false }],
      }),
    ).toEqual(['Orders.Besteller -> Kunden.Nr'])
  })

  it('are looked for by their values alone where these are GUIDs', () => {
    expect(
      suspectsOf(['Customers(Id uniqueidentifier)', 'Orders(Id uniqueidentifier, Buyer uniqueidentifier, Total int)']),
    ).toEqual(['Orders.Buyer -> Customers.Id'])
  })
})

describe('the values of a suspect', () => {
  const suspect = (fit: number, type = 'int'): Suspect => ({
    child: table('Orders(OrderID# int, CustomerID int)'),
    column: 'CustomerID',
    parent: table(`Customers(CustomerID# ${type})`),
    parentColumn: 'CustomerID',
    fit,
  })
  const numbers = (count: number, from = 1) => Array.from({ length: count }, (_none, at) => String(from + at))

  it('bear out a plain name also when few are missing, and a vague one only when they are many and large', () => {
    expect(isLikely(suspect(5), { values: ['7'], found: 1 })).toBe(true)
    expect(isLikely(suspect(5), { values: numbers(100), found: 92 })).toBe(true)
    expect(isLikely(suspect(5), { values: numbers(100), found: 50 })).toBe(false)
    expect(isLikely(suspect(3), { values: ['1', '2'], found: 2 })).toBe(false)
    expect(isLikely(suspect(1), { values: numbers(50), found: 50 })).toBe(false)
    expect(isLikely(suspect(1), { values: numbers(50, 800), found: 50 })).toBe(true)
    expect(isLikely(suspect(5), { values: [], found: 0 })).toBe(false)
  })

  it('count as text only where they are GUIDs', () => {
    const guid = '6f9619ff-8b86-d011-b42d-00c04fc964ff'
    expect(isLikely(suspect(5, 'nvarchar(128)'), { values: [guid], found: 1 })).toBe(true)
    expect(isLikely(suspect(5, 'nvarchar(128)'), { values: ['paypal'], found: 1 })).toBe(false)
  })

  it('leave out what shops write for nothing, and what the key cannot hold', () => {
    expect([null, '0', '-1', '', '00000000-0000-0000-0000-000000000000'].every(isNothing)).toBe(true)
    expect(isNothing('10')).toBe(false)
    expect(canHold({ type: 'int' }, '2147483647')).toBe(true)
    expect(canHold({ type: 'int' }, '2147483648')).toBe(false)
    expect(canHold({ type: 'int(10) unsigned' }, '4294967295')).toBe(true)
    expect(canHold({ type: 'smallint' }, '-32769')).toBe(false)
    expect(canHold({ type: 'bigint' }, '9223372036854775807')).toBe(true)
    expect(canHold({ type: 'numeric(3,0)' }, '1000')).toBe(false)
  })
})
