import { readFile, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { extname, join, normalize, sep } from 'node:path'
import { json } from 'node:stream/consumers'
import pg from 'pg'
import { z } from 'zod'
import { codeOf, MigrateError, messageOf } from '../base/errors.ts'
import { placeOrder, purchaseSchema } from './shop-checkout.ts'
import { CONFIG_FILE } from './shop-site.ts'

export interface ShopOptions {
  /** The site's folder on this host; may be empty, then the shop answers 503 until it isn't. */
  readonly root: string
  /** This host's address. The shop only uses a database on it: hosts seldom let others at their databases. */
  readonly address: string
  /** 0 finds a free one. */
  readonly port: number
}

export interface Shop {
  readonly address: string
  readonly port: number
  stop(): Promise<void>
}

export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string | Buffer
}

/** What the shop says, whoever listens for it. */
export interface ShopFront {
  /** Never rejects: what goes wrong is a 503. */
  answer(request: IncomingMessage): Promise<Answer>
  close(): Promise<void>
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
}
const configSchema = z.object({ title: z.string(), database: z.string() })

/** The shop over whatever site and database its host has at the moment. */
export function openShopFront({ root, address }: Pick<ShopOptions, 'root' | 'address'>): ShopFront {
  const databases = new Databases(address)
  return {
    answer: (request) =>
      answer(request, root, databases).catch((error: unknown) => text(503, `Out of order: ${messageOf(error)}\n`)),
    close: () => databases.close(),
  }
}

/** Starts the shop's program on one host. */
export async function startShop(options: ShopOptions): Promise<Shop> {
  const front = openShopFront(options)
  const server = createServer((request, response) => {
    front.answer(request).then((reply) => send(response, reply))
  })
  await listen(server, options)
  return {
    address: options.address,
    port: portOf(server),
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
      await front.close()
    },
  }
}

const listen = (server: Server, { address, port }: ShopOptions): Promise<void> =>
  new Promise((resolve, reject) => server.once('error', reject).listen(port, address, resolve))

function portOf(server: Server): number {
  const bound = server.address()
  return bound !== null && typeof bound === 'object' ? bound.port : 0
}

function send(response: ServerResponse, { status, type, body }: Answer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

const text = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body })
const html = (body: string): Answer => ({ status: 200, type: 'text/html; charset=utf-8', body })

async function answer(request: IncomingMessage, root: string, databases: Databases): Promise<Answer> {
  const path = new URL(request.url ?? '/', 'http://shop').pathname
  if (request.method === 'POST') return path === '/checkout' ? checkOut(request, root, databases) : text(405, 'Not here.\n')
  if (path === '/') return frontPage(root, databases)
  if (path === '/checkout') return html(await template(root, 'checkout.html'))
  const sku = /^\/product\/([\w-]+)$/.exec(path)?.[1]
  return sku === undefined ? asset(root, path) : productPage(root, databases, sku)
}

async function checkOut(request: IncomingMessage, root: string, databases: Databases): Promise<Answer> {
  const purchase = purchaseSchema.safeParse(await json(request))
  if (!purchase.success) return text(400, `${z.prettifyError(purchase.error)}\n`)
  const receipt = await placeOrder(await databases.named(root), purchase.data)
  return { status: 201, type: 'application/json', body: JSON.stringify(receipt) }
}

async function frontPage(root: string, databases: Databases): Promise<Answer> {
  const database = await databases.named(root)
  const page = await template(root, 'front.html')
  const products = await database.query('SELECT sku, name, price::text, picture FROM products ORDER BY id')
  const orders = await database.query('SELECT count(*)::text AS total FROM orders')
  const shirts = products.rows.map(
    (row) => `<a href="/product/${row.sku}"><img src="${row.picture}" alt="" width="160"><br>${row.name}<br>${row.price}</a>`,
  )
  return html(fill(page, { shirts: shirts.join('\n'), orders: String(orders.rows[0]?.total) }))
}

async function productPage(root: string, databases: Databases, sku: string): Promise<Answer> {
  const database = await databases.named(root)
  const found = await database.query('SELECT name, price::text, picture FROM products WHERE sku = $1', [sku])
  const row: Readonly<Record<string, string>> | undefined = found.rows[0]
  return row === undefined ? text(404, 'No such shirt.\n') : html(fill(await template(root, 'product.html'), row))
}

const template = (root: string, name: string): Promise<string> => readFile(join(root, 'templates', name), 'utf8')

const fill = (page: string, values: Readonly<Record<string, string>>): string =>
  page.replace(/\{\{(\w+)\}\}/g, (_, name: string) => values[name] ?? '')

async function asset(root: string, path: string): Promise<Answer> {
  const file = normalize(join(root, decodeURIComponent(path)))
  const type = TYPES[extname(file)]
  if (type === undefined || !file.startsWith(root + sep)) return text(404, 'Nothing here.\n')
  try {
    return { status: 200, type, body: await readFile(file) }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return text(404, 'Nothing here.\n')
    throw error
  }
}

/** The database that the site's configuration names, as it stands on disk now. */
class Databases {
  readonly #address: string
  readonly #pools = new Map<string, pg.Pool>()
  #read: { readonly stamp: string; readonly url: string } | undefined

  constructor(address: string) {
    this.#address = address
  }

  async named(root: string): Promise<pg.Pool> {
    const url = await this.#url(join(root, CONFIG_FILE))
    const host = new URL(url).hostname
    if (host !== this.#address) throw new MigrateError('demo-shop', `the database on ${host} doesn't let ${this.#address} in`)
    const pool = this.#pools.get(url) ?? this.#open(url)
    this.#pools.set(url, pool)
    return pool
  }

  async #url(file: string): Promise<string> {
    const { mtimeMs, ino, size } = await stat(file)
    const stamp = `${mtimeMs} ${ino} ${size}`
    if (this.#read?.stamp !== stamp) {
      this.#read = { stamp, url: configSchema.parse(JSON.parse(await readFile(file, 'utf8'))).database }
    }
    return this.#read.url
  }

  #open(url: string): pg.Pool {
    const pool = new pg.Pool({ connectionString: url, max: 8, connectionTimeoutMillis: 10_000 })
    // An idle connection that breaks is replaced when next needed; whoever needs it then hears of it.
    pool.on('error', () => undefined)
    return pool
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.end()))
  }
}
