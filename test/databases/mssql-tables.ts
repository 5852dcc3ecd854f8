import { type Column, ORDINARY, type Table } from '../../src/databases/schema.ts'

export const column = (name: string, codec: string, change: Partial<Column> = {}): Column => ({
  name,
  type: codec,
  codec,
  ...ORDINARY,
  ...change,
})

/** A table with one column of each kind that is treated in a way of its own. */
export const orders: Table = {
  name: { schema: 'dbo', name: 'Orders' },
  columns: [
    column('OrderID', 'int', { nullable: false, identity: 'always' }),
    column('Customer', 'varchar(20)', { collation: 'Latin1_General_CI_AS' }),
    column('Total', 'money'),
    column('Photo', 'varbinary(max)'),
    column('Twice', 'money', { computed: { sql: '([Total]*(2))', stored: true } }),
    column('Version', 'timestamp', { type: 'rowversion', rowversion: true, nullable: false }),
  ],
  primaryKey: {
    name: 'PK_Orders',
    columns: ['OrderID'],
    sql: 'ALTER TABLE [dbo].[Orders] ADD CONSTRAINT [PK_Orders] PRIMARY KEY CLUSTERED ([OrderID] ASC)',
  },
  uniqueKeys: [],
  key: ['OrderID'],
  triggers: [],
}

/** A table whose name needs care, with a key of two columns. */
export const lines: Table = {
  ...orders,
  name: { schema: 'sales ops', name: "Order]Lines'" },
  columns: [
    column('OrderID', 'int', { nullable: false }),
    column('Line', 'uniqueidentifier', { nullable: false }),
    column('Note', 'nvarchar(max)'),
  ],
  primaryKey: null,
  key: ['OrderID', 'Line'],
}
