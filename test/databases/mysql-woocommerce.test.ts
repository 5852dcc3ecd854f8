import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openMysql } from '../../src/databases/mysql/index.ts'
import type { Database } from '../../src/databases/port.ts'
import { findTable } from '../../src/databases/schema.ts'
import { loadPlaybook } from '../../src/playbook/index.ts'
import { takeBaseline } from '../../src/reconcile/baseline.ts'
import { PARKING } from '../../src/reconcile/policy.ts'
import { Reconciler } from '../../src/reconcile/reconciler.ts'
import { declaredReferences } from '../../src/steps/rules.ts'
import { copyTable, createAll } from '../contract/database-kit.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'

const id = (name: string): string => `${name} bigint(20) unsigned NOT NULL AUTO_INCREMENT`
const ref = (name: string): string => `${name} bigint(20) unsigned NOT NULL DEFAULT 0`
const meta = (table: string, key: string, parent: string): string =>
  `CREATE TABLE ${table} (${id(key)}, ${ref(parent)}, meta_key varchar(255), meta_value longtext, PRIMARY KEY (${key}), KEY (${parent}), KEY meta_key (meta_key(191)))`

/** As WordPress and WooCommerce make them, shortened: zero dates as defaults, no foreign keys, a table of the old kind. */
const SHOP: readonly string[] = [
  "SET SESSION sql_mode = ''",
  `CREATE TABLE wp_users (${id('ID')}, user_login varchar(60) NOT NULL DEFAULT '', user_email varchar(100) NOT NULL DEFAULT '',
    user_registered datetime NOT NULL DEFAULT '0000-00-00 00:00:00', PRIMARY KEY (ID), KEY user_email (user_email))`,
  `CREATE TABLE wp_posts (${id('ID')}, ${ref('post_author')}, post_date datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
    post_date_gmt datetime NOT NULL DEFAULT '0000-00-00 00:00:00', post_content longtext NOT NULL, post_title text NOT NULL,
    post_status varchar(20) NOT NULL DEFAULT 'publish', ${ref('post_parent')}, PRIMARY KEY (ID),
    KEY type_status_date (post_status, post_date, ID), KEY post_author (post_author))`,
  `CREATE TABLE wp_comments (comment_ID bigint(20) unsigned NOT NULL AUTO_INCREMENT, ${ref('comment_post_ID')}, comment_content text NOT NULL,
    PRIMARY KEY (comment_ID), KEY (comment_post_ID))`,
  `CREATE TABLE wp_options (option_id bigint(20) unsigned NOT NULL AUTO_INCREMENT, option_name varchar(191) NOT NULL DEFAULT '',
    option_value longtext NOT NULL, autoload varchar(20) NOT NULL DEFAULT 'yes', PRIMARY KEY (option_id), UNIQUE KEY option_name (option_name))`,
  `CREATE TABLE wp_wc_orders (id bigint(20) unsigned NOT NULL AUTO_INCREMENT, status varchar(20), currency varchar(10), total_amount decimal(26,8),
    ${ref('customer_id')}, date_created_gmt datetime, PRIMARY KEY (id), KEY status (status))`,
  `CREATE TABLE wp_woocommerce_order_items (${id('order_item_id')}, order_item_name text NOT NULL, ${ref('order_id')}, PRIMARY KEY (order_item_id), KEY (order_id))`,
  meta('wp_postmeta', 'meta_id', 'post_id'),
  meta('wp_usermeta', 'umeta_id', 'user_id'),
  meta('wp_wc_orders_meta', 'id', 'order_id'),
  meta('wp_woocommerce_order_itemmeta', 'meta_id', 'order_item_id'),
  `CREATE TABLE wp_woocommerce_sessions (${id('session_id')}, session_value longtext NOT NULL, PRIMARY KEY (session_id))`,
  `CREATE TABLE wp_actionscheduler_logs (${id('log_id')}, message text NOT NULL, PRIMARY KEY (log_id)) ENGINE=MyISAM`,
  "INSERT INTO wp_users (user_login, user_email) VALUES ('ada', 'ada@example.com'), ('bob', 'bob@example.com')",
  `INSERT INTO wp_posts (post_author, post_date, post_content, post_title, post_status) VALUES (1, '2026-03-01 08:00:00', 'Größe 🫖', 'A pot', 'draft')`,
  'INSERT INTO wp_posts (ID, post_content, post_title) VALUES (90, "", "")',
  `INSERT INTO wp_postmeta (post_id, meta_key, meta_value) VALUES (1, '_price', '19.99'), (1, 'data', 'a:1:{s:1:"x";s:3:"\\0é";}')`,
  `INSERT INTO wp_options (option_name, option_value) VALUES ('siteurl', 'https://teapots.example')`,
  "INSERT INTO wp_wc_orders (status, currency, total_amount, customer_id, date_created_gmt) VALUES ('wc-processing', 'EUR', 21.50000000, 1, '2026-03-01 08:00:00')",
  "INSERT INTO wp_woocommerce_order_items (order_item_name, order_id) VALUES ('A pot', 1)",
  "INSERT INTO wp_actionscheduler_logs (message) VALUES ('ran')",
]

describe.skipIf(mysqlMissing !== null)(mysqlTitle('a shop of WooCommerce'), () => {
  let server: TestMysql
  let made: { readonly old: TestMysqlDatabase; readonly new: TestMysqlDatabase }
  let databases: { readonly old: Database; readonly new: Database }
  const directory = mkdtempSync(join(tmpdir(), 'migrate-woocommerce-'))
  beforeAll(async () => {
    server = await startTestMysql({ host: '127.0.12.8' })
    made = { old: await server.database(), new: await server.database() }
    databases = { old: openMysql(made.old.options()), new: openMysql(made.new.options()) }
    const connection = await made.old.connect()
    for (const sql of SHOP) await connection.query(sql)
    await connection.end()
  })
  afterAll(async () => {
    await databases?.old.close()
    await databases?.new.close()
    await server?.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  const example = () =>
    loadPlaybook(new URL('../../playbooks/woocommerce.yml', import.meta.url).pathname, {
      OLD_FILES_PASSWORD: 'files-password',
      OLD_DB_PASSWORD: 'old-password',
      NEW_DB_PASSWORD: 'new-password',
      CLOUDFLARE_API_TOKEN: 'token-of-the-zone',
    })

  it('has every table that the example playbook names, and every reference', async () => {
    const playbook = await example()
    const { tables, findings } = await databases.old.schema()
    for (const name of playbook.tables.keys()) expect(findTable(tables, name), name).toBeTypeOf('object')
    expect(declaredReferences(playbook, tables)).toHaveLength(playbook.references.length)
    expect(findings.map((each) => [each.severity, each.code]).sort()).toEqual([
      ['info', 'snapshot-locks-tables'],
      ['warning', 'table-not-transactional'],
    ])
  })

  it('arrives with zero dates, 4-byte text and its own numbers', async () => {
    const schema = await databases.old.schema()
    await createAll(databases.new, schema, ['before'])
    for (const table of schema.tables) await copyTable(databases.old, databases.new, table)
    await createAll(databases.new, schema, ['after'])
    for (const { name } of schema.tables) {
      const checksum = async (database: TestMysqlDatabase) => (await database.sql(`CHECKSUM TABLE ${name.name} EXTENDED`))[0]?.[1]
      expect(await checksum(made.new), name.name).toBe(await checksum(made.old))
    }
    expect(await made.new.sql('SELECT post_date, post_date_gmt FROM wp_posts WHERE ID = 90')).toEqual([
      ['0000-00-00 00:00:00', '0000-00-00 00:00:00'],
    ])
  })

  it('gets the strays of the old host, parents first though nothing declares them, and keeps what the new host needs', async () => {
    const playbook = await example()
    const restored = await databases.new.schema()
    for (const state of await databases.new.identities(restored))
      await databases.new.raiseIdentity(state.identity, (state.last ?? 0n) + 3000n)
    const tracked = restored.tables.filter((table) => playbook.tables.get(table.name.name)?.mode !== 'skip')
    await takeBaseline({ directory, database: databases.new, tables: tracked })
    await made.old.sql(`INSERT INTO wp_users (user_login) VALUES ('eve');
      INSERT INTO wp_wc_orders (status, total_amount, customer_id) VALUES ('wc-pending', 5, 3);
      INSERT INTO wp_woocommerce_order_items (order_item_name, order_id) VALUES ('Lid', 2);
      INSERT INTO wp_woocommerce_order_itemmeta (order_item_id, meta_key, meta_value) VALUES (2, '_qty', '1');
      DELETE FROM wp_users WHERE ID = 2`)
    await made.new.sql("INSERT INTO wp_wc_orders (status, total_amount, customer_id) VALUES ('wc-pending', 7, 2)")
    const each = new Reconciler({
      run: 'r',
      directory,
      source: databases.old,
      target: databases.new,
      tracked: (table) => tracked.some((each) => each.name.name === table.name.name),
      sourceSide: 'old',
      policyOf: () => PARKING,
      references: (tables) => declaredReferences(playbook, tables),
    })
    const { changes } = await each.plan({})
    for (const change of changes) await each.apply(change)
    expect(await made.new.sql('SELECT id, total_amount, customer_id FROM wp_wc_orders ORDER BY id')).toEqual([
      ['1', '21.50000000', '1'],
      ['2', '5.00000000', '3'],
      ['3002', '7.00000000', '2'],
    ])
    expect(await made.new.sql('SELECT meta_value FROM wp_woocommerce_order_itemmeta')).toEqual([['1']])
    // Deleted on the old host, but the new host's order is his.
    expect(await made.new.sql('SELECT ID FROM wp_users ORDER BY ID')).toEqual([['1'], ['2'], ['3']])
    expect((await each.parked()).map((row) => [row.table, row.key])).toEqual([['wp_users', '["2"]']])
    expect((await each.prove({})).totals.unaccounted).toBe(0)
    expect((await each.plan({})).changes).toEqual([])
  })
})
