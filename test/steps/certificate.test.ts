import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { Secret } from '../../src/base/secret.ts'
import { startCloudflareApi } from '../../src/demo/cloudflare-api.ts'
import { cloudflareProvider } from '../../src/dns/cloudflare.ts'
import type { DnsProvider } from '../../src/dns/port.ts'
import { rfc2136Provider } from '../../src/dns/rfc2136.ts'
import type { Shell } from '../../src/files/port.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import { certificateKind } from '../../src/steps/certificate.ts'
import type { World } from '../../src/steps/world.ts'
import { perform, TestRun, takeBack, testContext, testWorld } from '../fakes/step-run.ts'
import { type Bind, bindMissing, bindZone, startBind } from '../servers/bind.ts'
import { type Pebble, pebbleMissing, startPebble } from '../servers/pebble.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'
import { selfSigned } from '../servers/web.ts'

const missing = bindMissing ?? pebbleMissing ?? sshdMissing
const title = `a certificate for the new host${missing === null ? '' : ` (skipped: ${missing})`}`
const ZONE = 'shop.example'

describe.skipIf(missing !== null)(title, () => {
  let bind: Bind
  let pebble: Pebble
  let sshd: Sshd
  let shell: Shell
  let closeFiles: () => Promise<void>
  beforeAll(async () => {
    ;[bind, sshd] = await Promise.all([
      startBind({ zone: ZONE, records: ['@ 300 IN A 203.0.113.10', '_acme-challenge 300 IN TXT "somebody else’s"'] }),
      startSshd({ address: '127.0.12.71' }),
    ])
    pebble = await startPebble(bind.endpoint)
    const { address: host, port, user, key, fingerprint } = sshd
    const files = openSftp({ host, port, user, key, fingerprint, root: tmpdir(), connections: 2, label: 'sftp://new' })
    shell = files.shell
    closeFiles = () => files.close()
  })
  afterAll(async () => {
    await closeFiles?.()
    await Promise.all([pebble?.stop(), bind?.stop(), sshd?.stop()])
  })

  const ownServer = (): DnsProvider =>
    rfc2136Provider({ zone: ZONE, server: { host: bind.address, port: bind.port }, key: bind.key, clock: systemClock })

  /** The new host: a web server that takes its certificate from two files whenever somebody connects. */
  async function newHost() {
    const folder = mkdtempSync(join(tmpdir(), 'migrate-certificate-'))
    const [chain, key] = [join(folder, 'chain.pem'), join(folder, 'key.pem')]
    const first = selfSigned('old-name.example', 10)
    writeFileSync(chain, first.cert)
    writeFileSync(key, first.key, { mode: 0o640 })
    const server: Server = createServer(
      {
        SNICallback: (_name, done) => done(null, createSecureContext({ cert: readFileSync(chain), key: readFileSync(key) })),
        cert: first.cert,
        key: first.key,
      },
      (_request, response) => response.end('shop'),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.close()
      rmSync(folder, { recursive: true, force: true })
    })
    return { folder, chain, key, first, site: new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`) }
  }

  async function scene(provider: DnsProvider, install: boolean, options: object = {}) {
    const host = await newHost()
    const world: World = {
      ...testWorld({ new: { site: host.site, shell } }),
      site: new URL(`https://${ZONE}`),
      dns: {
        provider,
        zone: ZONE,
        records: [{ name: `www.${ZONE}`, type: 'CNAME', to: ZONE }],
        authoritative: () => Promise.resolve([bind.resolver]),
      },
    }
    const places = { chain: host.chain, key: host.key, reload: `touch ${join(host.folder, 'reloaded')}` }
    const parsed = certificateKind.options.parse({
      ...{ terms: 'agreed', email: 'owner@shop.example', directory: pebble.directory, ca: pebble.ca },
      ...(install ? { install: places } : {}),
      ...options,
    })
    const directory = mkdtempSync(join(tmpdir(), 'migrate-run-'))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const run = new TestRun(directory)
    return { host, run, step: certificateKind.create(parsed, testContext(world, 'certificate')) }
  }

  const proofs = async (): Promise<readonly string[]> =>
    (await bind.resolver.query(`_acme-challenge.${ZONE}`, 'TXT')).records.map((record) => record.content)

  it('is obtained by the zone, installed, shown, and taken away again by undo', async () => {
    const { host, run, step } = await scene(ownServer(), true)
    expect(await step.check(run)).toEqual([])
    const changes = await perform(step, run)
    expect(changes.map((change) => step.describe(change))).toEqual([
      `obtain a certificate for shop.example, www.shop.example from ${new URL(pebble.directory).host} and put it at ${host.chain} on the new host`,
    ])
    expect(await step.verify(run)).toEqual([])
    expect(await step.plan(run)).toEqual([])
    expect(existsSync(join(host.folder, 'reloaded'))).toBe(true)
    expect(statSync(host.key).mode & 0o077).toBe(0)
    expect(readFileSync(host.chain, 'utf8').match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(1)
    // Only somebody else's record is left.
    expect(await proofs()).toEqual(['somebody else’s'])

    await takeBack(step, changes, run)
    expect(readFileSync(host.chain, 'utf8')).toBe(host.first.cert)
    expect(readFileSync(host.key, 'utf8')).toBe(host.first.key)
  })

  it('is obtained through Cloudflare too', async () => {
    const store = bindZone(bind, ZONE, [])
    const api = await startCloudflareApi({ zones: [store], tokens: { token: { read: [ZONE], edit: [ZONE] } } })
    onTestFinished(() => api.close())
    const { run, step } = await scene(
      cloudflareProvider({ zone: ZONE, token: new Secret('token'), api: api.url, clock: systemClock }),
      true,
    )
    await perform(step, run)
    expect(await step.verify(run)).toEqual([])
    expect(store.records()).toEqual([])
    expect(await proofs()).toEqual(['somebody else’s'])
  })

  it('is kept for a person where nobody can install it from here', async () => {
    const { host, run, step } = await scene(ownServer(), false)
    run.answer = false
    await expect(perform(step, run)).rejects.toMatchObject({ ending: 'waiting' })
    expect(run.questions[0]).toContain(join(run.directory, 'certificate', 'chain.pem'))
    // The person does it, and the run goes on without asking the authority again.
    const kept = readFileSync(join(run.directory, 'certificate', 'chain.pem'), 'utf8')
    writeFileSync(host.key, readFileSync(join(run.directory, 'certificate', 'key.pem')))
    writeFileSync(host.chain, kept)
    expect(await step.plan(run)).toEqual([])
    expect(await step.verify(run)).toEqual([])
    expect(await proofs()).toEqual(['somebody else’s'])
  })

  it('leaves no proof behind in the zone when it is cut off, nor when the authority refuses', async () => {
    const provider = ownServer()
    const { run, step } = await scene(provider, true, { names: ['other.example'] })
    // The authority finds no proof where it looks: this server doesn't serve that zone.
    await expect(perform(step, run)).rejects.toMatchObject({ code: expect.stringMatching(/^dns-|^certificate-/) })
    expect(await proofs()).toEqual(['somebody else’s'])

    const again = await scene(provider, true)
    await again.run.remember('certificate/proofs', [{ name: `_acme-challenge.${ZONE}`, text: 'left by a kill' }])
    await provider.texts?.add(`_acme-challenge.${ZONE}`, 'left by a kill')
    expect(await proofs()).toContain('left by a kill')
    await perform(again.step, again.run)
    expect(await proofs()).toEqual(['somebody else’s'])
  })

  it('says in check where it may not be put', async () => {
    const { run, step } = await scene(ownServer(), true, {
      install: { chain: '/nowhere/at-all/chain.pem', key: '/nowhere/at-all/key.pem' },
    })
    expect((await step.check(run)).map((finding) => finding.code)).toEqual([
      'certificate-place-denied',
      'certificate-place-denied',
    ])
  })
})
