import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import { LOOKS, stopChild } from './bind.ts'
import { freePorts } from './ports.ts'
import { selfSigned } from './web.ts'

const PEBBLE = '/usr/bin/pebble'

/** Why no ACME authority can be had here; `null` when one can. For the titles of skipped suites. */
export const pebbleMissing: string | null = spawnSync(PEBBLE, ['-version']).error === undefined ? null : 'pebble is not installed'

export interface Pebble {
  readonly directory: string
  /** PEM file of the authority by which the directory's own certificate is signed. */
  readonly ca: string
  /** PEM: the root under which it issues, made anew at each start. */
  readonly root: string
  stop(): Promise<void>
}

/** Let's Encrypt's own small ACME server for tests, asking one name server about challenges. */
export async function startPebble(dnsServer: string): Promise<Pebble> {
  const folder = mkdtempSync(join(tmpdir(), 'migrate-pebble-'))
  const pair = selfSigned('localhost', 90)
  const [certificate, privateKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  writeFileSync(certificate, pair.cert)
  writeFileSync(privateKey, pair.key)
  const [port, management, httpPort, tlsPort] = await freePorts(['127.0.0.1'], 4)
  const pebble = {
    ...{ listenAddress: `127.0.0.1:${port}`, managementListenAddress: `127.0.0.1:${management}`, certificate, privateKey },
    ...{ httpPort, tlsPort, ocspResponderURL: '', externalAccountBindingRequired: false },
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ pebble }))
  const child = spawn(PEBBLE, ['-config', join(folder, 'config.json'), '-dnsserver', dnsServer], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0' },
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      log = (log + String(chunk)).slice(-4000)
    })
  }
  const directory = `https://localhost:${port}/dir`
  for (let look = 0; look < LOOKS && child.exitCode === null; look += 1) {
    if ((await ask(directory, pair.cert)) !== undefined) {
      return {
        directory,
        ca: certificate,
        root: (await ask(`https://localhost:${management}/roots/0`, pair.cert)) ?? '',
        stop: async () => {
          await stopChild(child)
          rmSync(folder, { recursive: true, force: true })
        },
      }
    }
    await wait(50)
  }
  await stopChild(child)
  throw new Error(`pebble did not start:\n${log}`)
}

/** The body of its answer; `undefined` when there is none, or it isn't 200. */
const ask = (url: string, ca: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const asking = request(url, { ca }, (response) => {
      text(response).then((body) => resolve(response.statusCode === 200 ? body : undefined))
    })
    asking.on('error', () => resolve(undefined))
    asking.end()
  })
