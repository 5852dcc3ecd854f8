import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Why certificates can't be made here; `null` when they can. For the titles of skipped suites. */
export const opensslMissing: string | null =
  spawnSync('openssl', ['version']).error === undefined ? null : 'openssl is not installed'

export interface WebServer {
  /** `http://127.0.0.1:4711` or `https://…`: where it answers without DNS. */
  readonly url: URL
  close(): Promise<void>
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

export interface KeyPair {
  readonly key: string
  readonly cert: string
}

/** A web server on a free port; with a certificate it speaks HTTPS. */
export async function startWeb(answer: Answer, pair?: KeyPair, address = '127.0.0.1'): Promise<WebServer> {
  const server: Server = pair === undefined ? createHttp(answer) : createHttps(pair, answer)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, address, resolve)
  })
  const bound = server.address()
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0
  return {
    url: new URL(`${pair === undefined ? 'http' : 'https'}://${address}:${port}`),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** A site made of fixed files: path → content type and content. Everything else is 404. */
export const files =
  (site: Readonly<Record<string, readonly [type: string, content: string]>>): Answer =>
  (request, response) => {
    const found = site[request.url ?? '']
    if (found === undefined) {
      response.writeHead(404, { 'content-type': 'text/html' }).end('<title>not found</title>')
      return
    }
    const [type, content] = found
    response.writeHead(200, { 'content-type': type }).end(content)
  }

/** A self-signed certificate, which is its own authority. */
export function selfSigned(name: string, days: number, organisation = 'Test'): KeyPair {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-certificate-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  try {
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert],
        ...[
          '-subj',
          `/O=${organisation}/CN=${name}`,
          '-addext',
          `subjectAltName=${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`,
          '-days',
          String(days),
        ],
      ],
      { stdio: 'pipe' },
    )
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
