import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { openMysql } from '../../src/databases/mysql/index.ts'
import type { Column } from '../../src/databases/schema.ts'
import { startTestMysql, type TestMysql, type TestMysqlDatabase } from '../servers/mysql.ts'
import { mysqlMissing } from '../servers/mysql-programs.ts'
import type { MadeRows } from './filler.ts'
import type { Cell } from './filler-values.ts'
import { type SampleDatabase, samplesOf, samplesSuite } from './suite.ts'

samplesSuite(
  `mysql${mysqlMissing === null ? '' : ` (skipped: ${mysqlMissing})`}`,
  mysqlMissing === null
    ? await samplesOf(['sakila-mysql', 'chinook-mysql', 'thirtybees-mysql', 'shopware-mysql', 'zencart-mysql'])
    : new Map([['sakila-mysql', undefined]]),
  {
    'sakila-mysql': {
      rows: { film: 1_000, rental: 16_044, payment: 16_049 },
      findings: ['definer-changes', 'full-text-index', 'snapshot-locks-tables', 'trigger-guarded'],
    },
    'chinook-mysql': { rows: { Track: 3_503, PlaylistTrack: 8_715 }, findings: ['snapshot-locks-tables'] },
    'thirtybees-mysql': {
      rows: {},
      filled: 247,
      findings: ['snapshot-locks-tables'],
      copyOnly: [
        'accessory',
        'customer_message_sync_imap',
        'module_carrier',
        'order_detail_tax',
        'order_invoice_tax',
        'order_slip_detail_tax',
      ].map((name) => `tb_${name}`),
    },
    'shopware-mysql': { rows: {}, filled: 248, findings: ['snapshot-locks-tables'] },
    'zencart-mysql': {
      rows: {},
      filled: 111,
      findings: ['snapshot-locks-tables', 'table-not-transactional'],
      copyOnly: ['counter', 'media_to_products', 'product_types_to_category', 'products_discount_quantity', 'whos_online'],
    },
  },
  async () => {
    const server = await startTestMysql({ host: '127.0.37.2' })
    return { database: async () => sampleDatabase(server, await server.database('sample')), close: () => server.stop() }
  },
)

function sampleDatabase(server: TestMysql, made: TestMysqlDatabase): SampleDatabase {
  const account = server.root
  const login = [`--host=${made.host}`, `--port=${made.port}`, `--user=${account.user}`, `--password=${account.password}`]
  const client = (name: string, args: readonly string[], input: string): Promise<string> =>
    run(name, ['--no-defaults', ...login, '--default-character-set=utf8mb4', ...args], input)
  return {
    load: async (scripts) => {
      for (const script of scripts)
        await client('mariadb', ['--init-command', LENIENT, made.name], withoutPlaceholders(ownDatabaseLeftOut(script)))
    },
    add: async (all) => {
      await made.rootSql([LENIENT, ...all.flatMap(insertsOf)].join(';\n'))
    },
    types: () => ({ labels: new Map(), bases: new Map(), letters }),
    open: () => openMysql(made.options({ account })),
    contents: async () => {
      const tables = await made.rootSql(TABLES)
      const all: Record<string, string> = {}
      for (const [name, question] of tables) all[name ?? ''] = (await made.rootSql(question ?? ''))[0]?.join(' ') ?? ''
      return all
    },
    schema: async () =>
      statements(await client('mariadb-dump', ['--no-data', '--routines', '--events', '--skip-comments', made.name], '')),
  }
}

/** Each script drops and creates a database of its own, goes on in it, and names it here and there. */
const ownDatabaseLeftOut = (script: string): string =>
  script.replace(/^(DROP (DATABASE|SCHEMA)|CREATE (DATABASE|SCHEMA)|USE) .*;\s*$/gim, '').replace(/\bsakila\./g, '')

/** As a shop's installer says it: zero dates are dates, and what doesn't fit is cut. */
const LENIENT = "SET SESSION sql_mode = ''"

/** What an installer puts in before it runs the script. */
const withoutPlaceholders = (script: string): string => script.replaceAll('PREFIX_', 'tb_').replaceAll('ENGINE_TYPE', 'InnoDB')

function insertsOf({ table, columns, rows }: MadeRows): readonly string[] {
  const names = columns.map(({ name }) => `\`${name}\``).join(', ')
  const values = rows.map((row) => `(${row.map((cell, at) => literal(cell, columns[at])).join(', ')})`)
  return columns.length === 0 ? [] : [`INSERT IGNORE INTO \`${table.name.name}\` (${names}) VALUES ${values.join(',\n')}`]
}

function literal(cell: Cell, column: Column | undefined): string {
  if (cell === null) return 'NULL'
  if (Buffer.isBuffer(cell)) return `X'${cell.toString('hex')}'`
  // Shops say "never" by it.
  if (/^date/.test(column?.type ?? '') && cell.endsWith('7')) return "'0000-00-00'"
  return `'${cell.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

const letters = ({ collation }: Column): 'latin' | 'plane' | 'all' =>
  /^(latin1|ascii)_/.test(collation ?? '') ? 'latin' : /^(utf8|utf8mb3)_/.test(collation ?? '') ? 'plane' : 'all'

/** For each table the question for its rows: how many, and the sum of a hash of each, with NULL told from ''. */
const TABLES = `SELECT t.table_name, CONCAT('SELECT COUNT(*), COALESCE(SUM(CAST(CONV(LEFT(MD5(CONCAT_WS(0x2c, ',
    GROUP_CONCAT(CONCAT('COALESCE(HEX(\`', c.column_name, '\`), 0x4e)') ORDER BY c.ordinal_position), ')), 15), 16, 10) AS DECIMAL(30))), 0) FROM \`', t.table_name, '\`')
  FROM information_schema.tables t JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name
  WHERE t.table_schema = DATABASE() AND t.table_type = 'BASE TABLE' GROUP BY t.table_name ORDER BY t.table_name`

async function run(name: string, args: readonly string[], input: string): Promise<string> {
  const child = spawn(name, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  // A client that ended early says why, and ends with a code.
  child.stdin.on('error', () => undefined).end(input)
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${errors}`)
  return output
}

/**
 * What a table counted so far isn't its schema, and neither are quotes and line ends, which the server keeps as somebody typed them.
 * Each statement by itself, in whatever order it was created.
 */
const statements = (dump: string): readonly string[] =>
  dump
    .replace(/ AUTO_INCREMENT=\d+/g, '')
    .split(/;\n|;;\n/)
    .map((statement) => statement.replaceAll('`', '').replace(/\s+/g, ' ').trim())
    .filter((statement) => statement !== '')
    .sort()
