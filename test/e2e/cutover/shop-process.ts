import { closeSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { isIPv6 } from 'node:net'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { z } from 'zod'
import { messageOf } from '../../../src/base/errors.ts'
import { type Answer, openShopFront } from '../../../src/demo/shop.ts'

/**
 * One host's shop as a process of its own: the site's folder, the database that the config there names, HTTPS with the pair of
 * files that lie there, customers' pictures, and an access log. SIGHUP: takes the pair anew. SIGUSR2: its log is rotated, in the
 * middle of a line.
 */
const options = z
  .object({
    address: z.string(),
    port: z.number(),
    root: z.string(),
    log: z.string(),
    chain: z.string(),
    key: z.string(),
    pidFile: z.string(),
  })
  .parse(JSON.parse(process.argv[2] ?? ''))

/** A server ends a connection after so many requests, as nginx's `keepalive_requests` has it. */
const REQUESTS_A_CONNECTION = 20
const UPLOAD = /^\/uploads\/[\w-]+\.svg$/

const bracketed = (address: string): string => (isIPv6(address) ? `[${address}]` : address)
const pair = () => ({ cert: readFileSync(options.chain, 'utf8'), key: readFileSync(options.key, 'utf8') })
const front = openShopFront({ root: options.root, address: bracketed(options.address) })
let log = openSync(options.log, 'a')

const server = createServer(pair(), (request, response) => {
  response.once('close', () => writeSync(log, `${lineOf(request, response)}\n`))
  reply(request)
    .catch((error: unknown): Answer => ({ status: 500, type: 'text/plain', body: `${messageOf(error)}\n` }))
    .then(({ status, type, body }) => {
      response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body)
    })
})
server.maxRequestsPerSocket = REQUESTS_A_CONNECTION
server.keepAliveTimeout = 60_000

async function reply(request: IncomingMessage): Promise<Answer> {
  if (request.method !== 'PUT') return await front.answer(request)
  const path = request.url ?? ''
  if (!UPLOAD.test(path)) return { status: 405, type: 'text/plain', body: 'Not here.\n' }
  const content = await buffer(request)
  await mkdir(dirname(join(options.root, path)), { recursive: true })
  await writeFile(join(options.root, path), content, { flag: 'wx' })
  return { status: 201, type: 'text/plain', body: 'Thank you.\n' }
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ')

/** The combined format of Apache and nginx. */
function lineOf(request: IncomingMessage, response: ServerResponse): string {
  const now = new Date()
  const day = [now.toISOString().slice(8, 10), MONTHS[now.getUTCMonth()], now.getUTCFullYear()].join('/')
  const asked = `"${request.method} ${request.url} HTTP/1.1" ${response.statusCode} ${response.getHeader('content-length') ?? '-'}`
  const time = `${day}:${now.toISOString().slice(11, 19)} +0000`
  return `${request.socket.remoteAddress ?? '-'} - - [${time}] ${asked} "-" "${request.headers['user-agent'] ?? '-'}"`
}

process.on('SIGHUP', () => server.setSecureContext(pair()))
process.on('SIGUSR2', () => {
  const line = `192.0.2.1 - - [01/Jan/2020:00:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "Mozilla/5.0"\n`
  writeSync(log, line.slice(0, 40))
  renameSync(options.log, `${options.log}.1`)
  writeSync(log, line.slice(40))
  closeSync(log)
  log = openSync(options.log, 'a')
})
// When the test that started it is gone, nobody needs it.
process.on('disconnect', () => process.exit())

server.listen(options.port, options.address, () => {
  writeFileSync(options.pidFile, String(process.pid))
  process.send?.('listening')
})
