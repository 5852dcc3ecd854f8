import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { Finding } from '../../base/errors.ts'
import type { Resolver } from '../../dns/port.ts'
import { type Draft, type DraftDns, type DraftHost, draftPlaybook, VARIABLES } from '../../playbook/draft.ts'
import { parsePlaybook } from '../../playbook/index.ts'
import { PlaybookError } from '../../playbook/problems.ts'
import { apex, nameFrom, siteFrom, wrong } from './answers.ts'
import type { Asker } from './asker.ts'
import { type Look, lookAt } from './look.ts'
import { likelyProvider, lookUpNames, type Names, recordsFor } from './names.ts'
import { Secrets } from './secrets.ts'

type Side = 'old' | 'new'
type Part = 'files' | 'database'

/** Answers that came with the command, so that nobody has to be asked. */
export interface Given {
  readonly name?: string
  readonly site?: string
  readonly dns?: DraftDns['provider']
  readonly zone?: string
  readonly dnsServer?: string
  readonly dnsKey?: string
  readonly old: GivenHost
  readonly new: GivenHost
}
export interface GivenHost {
  readonly files?: string
  readonly database?: string
  readonly site?: string
  readonly key?: string
}

export interface InterviewOptions {
  /** The playbook's path: relative paths in answers begin in its folder. */
  readonly file: string
  readonly given: Given
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly resolver: Resolver
  readonly signal: AbortSignal
  /** Absent where nobody can answer: what isn't given is then left out. */
  readonly asker?: Asker
  readonly tell: (finding: Finding) => void
}

const HOSTS = { old: 'old host (where the shop is)', new: 'new host (where it goes)' } as const
const EXAMPLES = {
  files: 'sftp://user@host/path, ftp://user@host/path, ftps://…, or a local folder',
  database: 'mssql://user@host/database, mysql://…, mariadb://… or postgres://…',
} as const

/** Asks what a playbook needs, looks at each answer at once, and gives the draft. */
export class Interview {
  readonly secrets: Secrets
  readonly #seen: string[] = []

  readonly #options: InterviewOptions

  constructor(options: InterviewOptions) {
    this.#options = options
    this.secrets = new Secrets(options.env, options.asker)
  }

  async draft(): Promise<Draft> {
    const { given, resolver, signal } = this.#options
    const site = await this.#site('What do customers type?', 'https://shop.example', given.site)
    const names = await lookUpNames(site, resolver, signal)
    this.#tellNames(site, names)
    const now = names.known[0]?.addresses ?? []
    const old = await this.#host('old', site, now)
    const destination = await this.#host('new', site, [])
    const dns = await this.#dns(site, names, destination)
    return {
      ...{ name: given.name ?? nameFrom(site), site: site.origin, old, new: destination },
      ...(dns === undefined ? {} : { dns }),
      ...{ rewrites: [], seen: this.#seen },
    }
  }

  async #site(question: string, example: string, given: string | undefined): Promise<URL> {
    const { asker } = this.#options
    const check = (answer: string): string | undefined =>
      siteFrom(answer) === undefined ? `Write it like ${example}, without user and password.` : undefined
    const answer = given ?? (await asker?.text(question, { placeholder: example, check })) ?? ''
    const site = siteFrom(answer)
    if (site === undefined) throw wrong(`"${answer}" is no web address.`, `Write it like ${example}.`)
    return site
  }

  #tellNames(site: URL, { known, zone }: Names): void {
    const lines = known.map(({ name, addresses, alias }) => `${name} → ${alias ?? addresses.join(', ')}`)
    if (lines.length === 0) this.#see(`DNS knows no address of ${site.hostname}, or nobody answered.`)
    else this.#see(`DNS now: ${lines.join('; ')}${zone === undefined ? '' : `; zone ${zone.name} at ${zone.servers.join(', ')}`}`)
  }

  #see(message: string): void {
    this.#seen.push(message)
    this.#options.tell({ severity: 'info', code: 'seen', message })
  }

  async #host(side: Side, site: URL, addresses: readonly string[]): Promise<DraftHost> {
    const files = await this.#files(side)
    const database = await this.#database(side)
    const at = addresses.length > 0 ? addresses : await this.#addressesOf(files?.url ?? database)
    const address = await this.#address(side, site, at[0])
    return {
      ...(files === undefined ? {} : { files }),
      ...(database === undefined ? {} : { database }),
      ...(address === undefined ? {} : { site: address }),
    }
  }

  async #files(side: Side): Promise<DraftHost['files']> {
    const { given, asker } = this.#options
    let [typed, extra]: [string | undefined, { key?: string; fingerprint?: string }] = [given[side].files, {}]
    if (given[side].key !== undefined) extra = { key: given[side].key }
    for (;;) {
      typed ??= (await this.#ask(side, 'files')) ?? ''
      if (typed === '') return undefined
      const isNew = extra.key === undefined && extra.fingerprint === undefined
      if (typed.startsWith('sftp://') && isNew && asker !== undefined) extra = await this.#login(asker, typed, side)
      const variable = VARIABLES.files(side, typed.split(':')[0] ?? '')
      const url = await this.secrets.kept(typed, variable, !typed.startsWith('sftp://'))
      const answer = { url, ...extra }
      const next = await this.#settle(side, 'files', { files: answer })
      if (next === 'keep') return answer
      if (next === 'again') {
        this.secrets.forget(variable)
        ;[typed, extra] = [undefined, {}]
      } else {
        extra = { ...extra, fingerprint: next.fingerprint }
        typed = url
      }
    }
  }

  async #login(asker: Asker, url: string, side: Side): Promise<{ key?: string }> {
    const hasPassword = /^[a-z]+:\/\/[^:@/]+:/.test(url)
    if (hasPassword) return {}
    const usual = join(homedir(), '.ssh', 'id_ed25519')
    const how = await asker.choose(`How do you log in on the ${side} host?`, [
      { value: 'key', label: 'With a key file', hint: existsSync(usual) ? '~/.ssh/id_ed25519 is there' : '' },
      {
        value: 'agent',
        label: 'With the SSH agent',
        hint: this.#options.env.SSH_AUTH_SOCK ? 'one runs here' : 'none runs here now',
      },
      { value: 'password', label: 'With a password', hint: 'kept in a variable, not in the playbook' },
    ])
    if (how === 'key') return { key: await asker.text('Path of the key', { initial: '~/.ssh/id_ed25519' }) }
    if (how === 'password') await this.secrets.ask(VARIABLES.files(side, 'sftp'), `Password on the ${side} host`)
    return {}
  }

  async #database(side: Side): Promise<string | undefined> {
    let typed: string | undefined = this.#options.given[side].database
    for (;;) {
      typed ??= (await this.#ask(side, 'database')) ?? ''
      if (typed === '') return undefined
      const variable = VARIABLES.database(side)
      const url = await this.secrets.kept(typed, variable, true)
      if ((await this.#settle(side, 'database', { database: url })) === 'keep') return url
      this.secrets.forget(variable)
      typed = undefined
    }
  }

  async #ask(side: Side, part: Part): Promise<string | undefined> {
    const what = part === 'files' ? 'The site’s files' : 'The database'
    return await this.#options.asker?.text(`${what} on the ${HOSTS[side]}; empty: none`, { placeholder: EXAMPLES[part] })
  }

  /** Reads the answer as a playbook would, looks at the host, and has the person decide where that fails. */
  async #settle(side: Side, part: Part, host: DraftHost): Promise<'keep' | 'again' | { readonly fingerprint: string }> {
    const { asker, tell } = this.#options
    const looked = await this.#look(side, part, host)
    for (const problem of looked.problems) tell(problem)
    const { seen } = looked
    if (seen !== undefined) this.#see(seen.startsWith(`${side} ${part} `) ? seen : `${side} ${part}: ${seen}`)
    const failed = looked.problems.find(({ severity }) => severity === 'error')
    if (failed === undefined) return 'keep'
    if (asker === undefined) {
      if (failed.ending === 'usage') throw wrong(failed.message, failed.hint)
      return 'keep'
    }
    const fingerprint = failed.code === 'files-host-key-unknown' ? /SHA256:[\w+/=]+/.exec(failed.hint ?? '')?.[0] : undefined
    const trust = {
      value: 'trust',
      label: 'It is the right one',
      hint: `${fingerprint} is what the host shows in its panel`,
    } as const
    const answer = await asker.choose<'trust' | 'again' | 'keep'>('What now?', [
      ...(fingerprint === undefined ? [] : [trust]),
      { value: 'again', label: 'Write it anew', hint: 'nothing was written so far' },
      ...(failed.ending === 'usage' ? [] : [{ value: 'keep', label: 'Keep it', hint: 'the check will ask again' } as const]),
    ])
    return answer === 'trust' && fingerprint !== undefined ? { fingerprint } : answer === 'keep' ? 'keep' : 'again'
  }

  async #look(side: Side, part: Part, host: DraftHost): Promise<Look> {
    const { file, clock } = this.#options
    const text = draftPlaybook({ ...EMPTY, [side]: host })
    try {
      const playbook = parsePlaybook(text, file, this.secrets.environmentFor(text))
      if (!this.secrets.isComplete(text)) return { problems: [unlooked(side, part)] }
      return await lookAt(playbook, side, part, clock)
    } catch (error) {
      if (!(error instanceof PlaybookError)) throw error
      const first = error.problems[0]
      return {
        problems: [
          { severity: 'error', code: error.code, message: first?.message ?? error.message, hint: first?.hint, ending: 'usage' },
        ],
      }
    }
  }

  async #addressesOf(url: string | undefined): Promise<readonly string[]> {
    const host = url === undefined || !URL.canParse(url) ? '' : new URL(url).hostname.replace(/^\[|\]$/g, '')
    if (isIP(host) !== 0) return [host]
    if (host === '' || host === 'localhost') return []
    const { records } = await this.#options.resolver.query(host, 'A', this.#options.signal)
    return records.filter(({ type }) => type === 'A').map(({ content }) => content)
  }

  async #address(side: Side, site: URL, address: string | undefined): Promise<string | undefined> {
    const { given, asker } = this.#options
    const bracketed = address !== undefined && isIP(address) === 6 ? `[${address}]` : address
    const likely = bracketed === undefined ? undefined : `${site.protocol}//${bracketed}`
    const check = (answer: string): string | undefined =>
      answer === '' || siteFrom(answer) !== undefined ? undefined : 'Write it like https://203.0.113.10.'
    const question = `Where does the ${HOSTS[side]} answer, without DNS?`
    const answer = given[side].site ?? (await asker?.text(question, { check, ...(likely ? { initial: likely } : {}) })) ?? likely
    const found = answer === undefined || answer === '' ? undefined : siteFrom(answer)
    if (answer && found === undefined) throw wrong(`"${answer}" is no web address.`, 'Write it like https://203.0.113.10.')
    return found?.origin
  }

  async #dns(site: URL, names: Names, destination: DraftHost): Promise<DraftDns | undefined> {
    const { given, asker, tell } = this.#options
    const likely = likelyProvider(names)
    const choices = [
      { value: 'cloudflare', label: 'Cloudflare', hint: `an API token in ${VARIABLES.cloudflare}` },
      { value: 'rfc2136', label: 'A name server of your own', hint: 'BIND, Knot, …, by a TSIG key' },
      { value: 'manual', label: 'Somebody else', hint: 'migrate says what to change by hand, and waits for it' },
    ] as const
    const ordered = [...choices].sort((a, b) => Number(b.value === likely) - Number(a.value === likely))
    const provider = given.dns ?? (await asker?.choose('Who publishes the zone?', ordered)) ?? likely
    const { zone, isGuess } = await this.#zone(site, names)
    const addresses = await this.#addressesOf(destination.site)
    if (addresses.length === 0) {
      const message =
        'No address of the new host is known, so the playbook has no records that move: there is no cutover in it yet.'
      tell({ severity: 'warning', code: 'no-records', message, hint: 'Give new.site, or add dns: and its steps by hand.' })
      return undefined
    }
    const records = recordsFor(site, names, addresses)
    if (isGuess) tell(zoneGuessed(zone, site))
    const guess = isGuess ? { isZoneGuess: true as const } : {}
    if (provider !== 'rfc2136') return { provider, zone, records, ...guess }
    const server = given.dnsServer ?? (await asker?.text('The zone’s primary name server', { placeholder: 'ns1.shop.example' }))
    const key = given.dnsKey ?? (await asker?.text('Name of the TSIG key that may update the zone'))
    if (!server || !key) throw wrong('rfc2136 needs the name server and its key.', 'Give --dns-server and --dns-key.')
    return { provider, zone, records, server, key, ...guess }
  }

  async #zone(site: URL, names: Names): Promise<{ readonly zone: string; readonly isGuess: boolean }> {
    const { given, asker } = this.#options
    if (given.zone !== undefined) return { zone: given.zone, isGuess: false }
    if (names.zone?.sure === true) return { zone: names.zone.name, isGuess: false }
    const found = names.zone?.name ?? ''
    const likely = found.length > apex(site).length ? found : apex(site)
    const answer = await asker?.text('Name of the zone', { initial: likely })
    return { zone: answer ?? likely, isGuess: answer === undefined }
  }
}

const zoneGuessed = (zone: string, { hostname }: URL): Finding => ({
  severity: 'warning',
  code: 'zone-guessed',
  message: `DNS doesn't say in which zone ${hostname} is: the playbook has ${zone}, which is a guess.`,
  hint: 'Check dns.zone in it against your DNS provider’s list of zones, or give it: --zone shop.example.',
})

const unlooked = (side: Side, part: Part): Finding => ({
  severity: 'warning',
  code: 'host-not-looked-at',
  message: `The ${side} host's ${part} could not be looked at: a variable in its URL has no value here.`,
  hint: 'Set it before  migrate check PLAYBOOK',
})

const EMPTY: Draft = { name: 'draft', site: 'https://shop.example', old: {}, new: {}, rewrites: [], seen: [] }
