import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { openPostgres } from '../../src/databases/postgres/index.ts'
import { quoteName, quoteTable } from '../../src/databases/postgres/values.ts'
import { debianPostgres } from '../../src/demo/postgres-server.ts'
import { startTestPostgres, type TestDatabase, type TestPostgres } from '../servers/postgres.ts'
import type { MadeRows } from './filler.ts'
import type { Cell } from './filler-values.ts'
import { type SampleDatabase, samplesOf, samplesSuite } from './suite.ts'

/** The clients, psql and pg_dump, come with Debian's server. */
const clients = debianPostgres() ?? '/usr/bin'

samplesSuite(
  'postgres',
  await samplesOf(['pagila', 'sakila-postgres', 'chinook-postgres', 'northwind-postgres', 'lago-postgres', 'killbill-postgres']),
  {
    pagila: { rows: { 'public.payment': 16_049, 'public.film': 1_000, 'public.rental': 16_044 } },
    'sakila-postgres': {
      rows: { 'public.film': 1_000, 'public.rental': 16_044 },
      copyOnly: [1, 2, 3, 4, 5, 6].map((month) => `payment_p2007_0${month}`),
    },
    'chinook-postgres': { rows: { 'public.track': 3_503, 'public.playlist_track': 8_715 } },
    'northwind-postgres': { rows: { 'public.orders': 830, 'public.order_details': 2_155 } },
    'lago-postgres': { rows: {}, filled: 125, copyOnly: ['partman.template_public_enriched_events'] },
    'killbill-postgres': { rows: {}, filled: 40, findings: ['event-trigger'], left: /^CREATE EVENT TRIGGER / },
  },
  async () => {
    const server = await startTestPostgres({ host: '127.0.37.1' })
    return { database: async () => sampleDatabase(server, await server.database('sample')), close: () => server.stop() }
  },
)

/** A sample is a superuser's: its scripts give what they make to the account `postgres`. */
function sampleDatabase(server: TestPostgres, made: TestDatabase): SampleDatabase {
  const url = new URL(server.superuserUrl)
  const account = { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }
  url.pathname = `/${made.name}`
  return {
    load: async (scripts) => {
      for (const script of scripts)
        await client('psql', ['-q', '-v', 'ON_ERROR_STOP=1', '-d', url.href], ownDatabaseLeftOut(script))
    },
    add: async (all) => {
      await client('psql', ['-q', '-d', url.href], ["SET search_path = ''", ...all.flatMap(insertsOf), ''].join(';\n'))
    },
    types: ({ objects }) => ({
      labels: new Map(objects.flatMap(({ sql }) => labelsIn(sql))),
      bases: new Map(objects.flatMap(({ sql }) => domainIn(sql))),
      letters: () => 'all',
    }),
    open: () => openPostgres(made.options({ account })),
    contents: async () =>
      Object.fromEntries(
        (await made.superuserSql(CONTENTS)).map(([name, rows, hash]): [string, string] => [name ?? '', `${rows} ${hash}`]),
      ),
    schema: async () => statements(await client('pg_dump', ['-s', '-O', '-x', '-d', url.href], '')),
  }
}

/**
 * Chinook's script drops and creates a database of its own, and goes on in it. pg_partman is in no package of the server's own; the shop
 * that uses it calls none of its functions in its schema.
 */
const ownDatabaseLeftOut = (script: string): string =>
  script.replace(
    /^(DROP DATABASE IF EXISTS|CREATE DATABASE|\\c|(CREATE|COMMENT ON) EXTENSION (IF NOT EXISTS )?pg_partman) .*;$/gm,
    '',
  )

/** Each row by itself: one that a check or a key refuses takes no other along. */
function insertsOf({ table, columns, rows }: MadeRows): readonly string[] {
  if (columns.length === 0) return []
  const into = `${quoteTable(table.name)} (${columns.map(({ name }) => quoteName(name)).join(', ')}) OVERRIDING SYSTEM VALUE`
  return rows.map((row) => `INSERT INTO ${into} VALUES (${row.map(literal).join(', ')})`)
}

function literal(cell: Cell): string {
  if (cell === null) return 'NULL'
  return Buffer.isBuffer(cell) ? `'\\x${cell.toString('hex')}'` : `'${cell.replaceAll("'", "''")}'`
}

/** The labels of a type whose creation this is. */
function labelsIn(sql: string): readonly (readonly [string, readonly string[]])[] {
  const [, name, labels] = /^CREATE TYPE (\S+) AS ENUM \(([\s\S]*)\)/.exec(sql) ?? []
  if (name === undefined) return []
  return [[bare(name), [...(labels ?? '').matchAll(/'((?:[^']|'')*)'/g)].map(([, label]) => (label ?? '').replaceAll("''", "'"))]]
}

/** What a domain whose creation this is stands for. */
function domainIn(sql: string): readonly (readonly [string, string])[] {
  const [, name, type] = /^CREATE DOMAIN (\S+) AS ([^\n;]+)/.exec(sql) ?? []
  return name === undefined || type === undefined ? [] : [[bare(name), type]]
}

const bare = (type: string): string => type.replaceAll('"', '').replace(/^public\./, '')

/** Tables as they are seen by whoever reads them: a partitioned one with all its rows, and each partition with its own. */
const CONTENTS = `SELECT format('%s.%s', n.nspname, c.relname), (xpath('/row/n/text()', x))[1]::text, (xpath('/row/h/text()', x))[1]::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL query_to_xml(format(
    'SELECT count(*) AS n, md5(string_agg(r::text, E''\\n'' ORDER BY r::text COLLATE "C")) AS h FROM %I.%I r', n.nspname, c.relname), true, true, '') x
  WHERE c.relkind IN ('r', 'p', 'm') AND c.relispopulated AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1`

async function client(name: string, args: readonly string[], input: string): Promise<string> {
  const child = spawn(join(clients, name), args, { stdio: ['pipe', 'pipe', 'pipe'] })
  // A client that ended early says why, and ends with a code.
  child.stdin.on('error', () => undefined).end(input)
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${errors}`)
  return output
}

/** Two databases created in another order are the same. The comment on `public` is each server's own: its wording changed once. */
const statements = (dump: string): readonly string[] =>
  dump
    .split(/;\n/)
    .map((statement) => statement.replace(/^(--.*|\s*)\n/gm, '').trim())
    .filter((statement) => statement !== '' && !/^(\\|COMMENT ON SCHEMA public )/.test(statement))
    .sort()
