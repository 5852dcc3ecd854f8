import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join, normalize } from 'node:path'
import { codeOf } from '../../src/base/errors.ts'

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css',
  svg: 'image/svg+xml',
  js: 'text/javascript',
}

const PAGE = `<!doctype html><html><head><title>Blank Label</title><link rel="stylesheet" href="/style.css"></head>
<body><h1>T-shirts</h1><img src="/images/shirt-1.svg" alt=""><img src="/images/shirt-2.svg" alt=""></body></html>\n`

export const CONFIG_OLD =
  '<?xml version="1.0" encoding="utf-8"?>\r\n<connection server="old-sql.example.com" database="shop" />\r\n'

/** Writes the site's files as they are on the old host: pages, pictures, styles, a config, and many small files. */
export async function writeSite(folder: string, files: number): Promise<void> {
  await mkdir(join(folder, 'images'), { recursive: true })
  await mkdir(join(folder, 'cache', 'empty'), { recursive: true })
  await writeFile(join(folder, 'index.html'), PAGE)
  await writeFile(join(folder, 'checkout.html'), PAGE.replace('T-shirts', 'Checkout'))
  await writeFile(join(folder, 'style.css'), 'body { background: url(/images/shirt-1.svg) }\n')
  await writeFile(join(folder, 'web.config'), CONFIG_OLD)
  for (let n = 1; n <= files; n += 1) {
    await writeFile(
      join(folder, 'images', `shirt-${n}.svg`),
      `<svg xmlns="http://www.w3.org/2000/svg"><!-- ${'x'.repeat(n)} --></svg>\n`,
    )
  }
}

export interface SiteServer {
  readonly url: string
  close(): Promise<void>
}

/** A web server over a folder, as the hosts' own would be: `/` is index.html, `/checkout` is checkout.html. */
export async function startSite(folder: string, address: string): Promise<SiteServer> {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://site').pathname
    const file =
      path === '/' ? 'index.html' : path === '/checkout' ? 'checkout.html' : normalize(decodeURIComponent(path)).slice(1)
    try {
      const body = await readFile(join(folder, file))
      response.writeHead(200, { 'content-type': TYPES[file.split('.').at(-1) ?? ''] ?? 'application/octet-stream' }).end(body)
    } catch (error) {
      response.writeHead(codeOf(error) === 'ENOENT' ? 404 : 500, { 'content-type': 'text/plain' }).end('not here\n')
    }
  })
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  const bound = server.address()
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0
  return {
    url: `http://${address}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
