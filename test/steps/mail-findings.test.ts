import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Finding } from '../../src/base/errors.ts'
import type { Resolver } from '../../src/dns/port.ts'
import type { Shell } from '../../src/files/port.ts'
import { mailFindings } from '../../src/steps/mail-findings.ts'
import type { MailTarget, World } from '../../src/steps/world.ts'
import { FakeClock } from '../fakes/clock.ts'
import { TestRun, testWorld } from '../fakes/step-run.ts'
import { type Bind, bindMissing, startBind } from '../servers/bind.ts'

/** A key as a DNS record shows it. */
const keyText = (bits: number): string =>
  generateKeyPairSync('rsa', { modulusLength: bits }).publicKey.export({ type: 'spki', format: 'der' }).toString('base64')

/** A text longer than 255 bytes stands in DNS as several. */
const quoted = (text: string): string => (text.match(/.{1,250}/g) ?? []).map((part) => `"${part}"`).join(' ')

const GOOD = '198.51.100.20'
const BAD = '198.51.100.66'
const NAMELESS = '198.51.100.99'

const NAMES = [
  `good.example. IN TXT "v=spf1 ip4:${GOOD} include:relay.example -all"`,
  `s2026._domainkey.good.example. IN TXT ${quoted(`v=DKIM1; k=rsa; p=${keyText(2048)}`)}`,
  `old._domainkey.good.example. IN TXT ${quoted(`v=DKIM1; k=rsa; p=${keyText(1024)}`)}`,
  'gone._domainkey.good.example. IN TXT "v=DKIM1; p="',
  'torn._domainkey.good.example. IN TXT "v=DKIM1; p=MIIBIjANBgkqhki"',
  '_dmarc.good.example. IN TXT "v=DMARC1; p=reject"',
  `mail.good.example. IN A ${GOOD}`,
  'relay.example. IN TXT "v=spf1 ip4:192.0.2.0/24 -all"',
  `unconfirmed.example. IN A 192.0.2.1`,
  'bare.example. IN A 192.0.2.2',
  '2.0.0.127.bl.example. IN A 127.0.0.2',
  '66.100.51.198.bl.example. IN A 127.0.0.4',
  '66.100.51.198.bl.example. IN TXT "seen sending spam, https://bl.example/66"',
  '2.0.0.127.refusing.example. IN A 127.255.255.254',
]
const REVERSE = [
  `20.100.51.198.in-addr.arpa. IN PTR mail.good.example.`,
  `66.100.51.198.in-addr.arpa. IN PTR unconfirmed.example.`,
]

let names: Bind
let reverse: Bind
let smtp: Server
let said: string[] = []
let banner = '220 mail.example ESMTP'

beforeAll(async () => {
  smtp = createServer((socket) => {
    socket.write(`${banner}\r\n`)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => {
      said.push(String(chunk).trim())
      if (String(chunk).startsWith('EHLO')) socket.write('250-mail.example\r\n250 STARTTLS\r\n')
      else socket.end('221 bye\r\n')
    })
  })
  smtp.listen(0, '127.0.0.1')
  await once(smtp, 'listening')
  if (bindMissing !== null) return
  const starting = [
    startBind({ zone: 'example', records: NAMES }),
    startBind({ zone: 'in-addr.arpa', records: REVERSE }),
  ] as const
  ;[names, reverse] = await Promise.all(starting)
})
afterAll(async () => {
  smtp.close()
  await Promise.all([names?.stop(), reverse?.stop()])
})

const port = (): number => (smtp.address() as AddressInfo).port

const resolver: Resolver = {
  label: 'two name servers',
  query: (name, type, signal) => (name.endsWith('.arpa') ? reverse : names).resolver.query(name, type, signal),
}

/** A shell on the new host: bash on this machine. */
const shell: Shell = {
  label: 'new host',
  run: (command) =>
    new Promise((resolve) => {
      execFile('sh', ['-c', command], (error, stdout, stderr) => {
        resolve({ exit: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr })
      })
    }),
}

async function found(mail: Partial<MailTarget>, world: Partial<Omit<World, 'mail'>> = {}): Promise<readonly Finding[]> {
  const target = {
    from: 'orders@good.example',
    isGiven: true,
    addresses: [GOOD],
    perOrder: 2,
    hourly: 10,
    blocklists: ['bl.example'],
  }
  const run = new TestRun('/nowhere', new FakeClock())
  return mailFindings({ ...testWorld({}), ...world, mail: { ...target, resolver, ...mail } }, run)
}
const codes = (all: readonly Finding[]): readonly string[] => all.map((finding) => `${finding.severity} ${finding.code}`)
const messageOf = (all: readonly Finding[], code: string): string =>
  all
    .filter((finding) => finding.code === code)
    .map((finding) => `${finding.message} ${finding.hint ?? ''}`)
    .join('\n')

describe.skipIf(bindMissing !== null)(
  `what keeps mails from customers${bindMissing === null ? '' : ` (skipped: ${bindMissing})`}`,
  () => {
    it('finds nothing where name, SPF, DKIM and DMARC are right', async () => {
      const all = await found({ dkim: ['s2026'] })
      expect(codes(all)).toEqual(['info mail-volume', 'info mail-ready'])
    })

    it('sees an address that SPF forbids, that a list blocks and whose name leads elsewhere, and what DMARC makes of it', async () => {
      const all = await found({ addresses: [BAD] })
      expect(codes(all)).toEqual([
        'warning mail-reverse-unconfirmed',
        'warning mail-address-listed',
        'warning mail-spf-fail',
        'warning mail-dkim-unknown',
        'warning mail-dmarc-refuses',
        'info mail-volume',
      ])
      expect(messageOf(all, 'mail-spf-fail')).toContain(`"v=spf1 ip4:${BAD} ip4:${GOOD} include:relay.example -all"`)
      expect(messageOf(all, 'mail-address-listed')).toContain('https://bl.example/66')
    })

    it('says which records a domain without any needs', async () => {
      const all = await found({ from: 'shop@bare.example' })
      expect(codes(all)).toEqual([
        'warning mail-spf-none',
        'warning mail-dkim-unknown',
        'warning mail-dmarc-missing',
        'info mail-volume',
      ])
      expect(messageOf(all, 'mail-spf-none')).toContain(`"v=spf1 ip4:${GOOD} ~all"`)
      expect(messageOf(all, 'mail-dmarc-missing')).toContain('_dmarc.bare.example')
    })

    it('tells keys that are short, withdrawn, torn and missing apart', async () => {
      const all = await found({ dkim: ['old', 'gone', 'torn', 'nobody'] })
      expect(codes(all)).toEqual([
        'info mail-dkim-short',
        'warning mail-dkim-revoked',
        'warning mail-dkim-broken',
        'warning mail-dkim-missing',
        'info mail-volume',
      ])
    })

    it('doesn’t take a list’s refusal to answer for a listing, nor for a clean record', async () => {
      const all = await found({ dkim: ['s2026'], blocklists: ['refusing.example'] })
      expect(codes(all)).toEqual(['info mail-blocklist-unanswered', 'info mail-volume', 'info mail-ready'])
    })

    it('is quiet about the name of an address that only this network sees', async () => {
      expect(codes(await found({ dkim: ['s2026'], addresses: [NAMELESS] }))).not.toContain('warning mail-reverse-missing')
    })
  },
)

describe('the way out', () => {
  const quiet: Partial<MailTarget> = {
    addresses: [],
    blocklists: [],
    dkim: [],
    resolver: {
      label: 'none',
      query: async () => ({ status: 'NXDOMAIN', authoritative: true, records: [], negativeTtlSeconds: null, milliseconds: 0 }),
    },
  }

  it('is tried on the new host by its shell, and nothing is sent', async () => {
    said = []
    const all = await found(
      { ...quiet, via: { host: '127.0.0.1', port: port() } },
      { new: { side: 'new', shell, connections: 4 } },
    )
    expect(codes(all)).not.toContain('warning mail-server-unreachable')
    expect(said.join('\n')).toBe('QUIT')
  })

  it('is told to be closed when the server can’t be reached from there', async () => {
    const gone = createServer()
    gone.listen(0, '127.0.0.1')
    await once(gone, 'listening')
    const { port: closed } = gone.address() as AddressInfo
    gone.close()
    await once(gone, 'close')
    const all = await found(
      { ...quiet, via: { host: '127.0.0.1', port: closed } },
      { new: { side: 'new', shell, connections: 4 } },
    )
    expect(messageOf(all, 'mail-server-unreachable')).toContain(`127.0.0.1:${closed} can’t be reached from the new host`)
  })

  it('is tried from this machine where the new host gives no shell', async () => {
    said = []
    expect(codes(await found({ ...quiet, via: { host: '127.0.0.1', port: port() } }))).not.toContain(
      'warning mail-server-refused',
    )
    expect(said[0]).toMatch(/^EHLO/)
    banner = '554 go away'
    const all = await found({ ...quiet, via: { host: '127.0.0.1', port: port() } })
    banner = '220 mail.example ESMTP'
    expect(messageOf(all, 'mail-server-refused')).toContain('answers this machine with "554 go away"')
  })

  it('runs no command that a host’s name would smuggle in', async () => {
    const all = await found({ ...quiet, via: { host: "x';id;'", port: 25 } }, { new: { side: 'new', shell, connections: 4 } })
    expect(messageOf(all, 'mail-server-unreachable')).toContain('from this machine')
  })
})
