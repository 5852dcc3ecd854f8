import { messageOf } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import type { Resolver } from '../dns/port.ts'
import { type Expectation, type Opinion, observe, withChains } from '../dns/propagation.ts'
import type { Laggard } from '../run/events.ts'
import type { StepRun } from '../run/step.ts'
import type { DnsTarget, World } from './world.ts'

export interface ServersView {
  readonly agreed: number
  /** All servers but those that don't answer from here. */
  readonly total: number
  /** Nobody is left who says otherwise. False while nobody could be asked at all. */
  readonly settled: boolean
  /** There were servers, and not one of them answers from here. */
  readonly blind: boolean
  /** Who still says otherwise. */
  readonly lagging: readonly Laggard[]
}

/** Unanswered so often in a row, a server counts as unreachable from here: one lost packet is no opinion, a firewall isn't either. */
const SILENT_LOOKS = 3
const MOST_NAMED = 5
/** So long, and so many of the TTLs that it named, a resolver may go on saying otherwise. */
const PATIENCE_MS = 3_600_000
const PATIENCE_TTLS = 3

/**
 * Asks the zone's name servers and, once they agree, the resolvers: a resolver that is asked too early would keep the old answer,
 * or that there is none, for another TTL.
 */
export class ServerWatch {
  readonly #dns: DnsTarget
  #resolvers: readonly Resolver[]
  readonly #isIntercepted: World['isIntercepted']
  /** When each that lags began to, monotonic, and for how long it said that it would. */
  readonly #lagsSince = new Map<string, { readonly at: number; readonly ttlMs: number }>()
  readonly #ignored = new Set<string>()
  readonly #same = new Set<string>()
  #looked = false
  readonly #expectations: readonly Expectation[]
  readonly #silent = new Map<string, number>()
  #authoritative: readonly Resolver[] | undefined
  #lagging = ''

  constructor(world: World, dns: DnsTarget, resolvers: readonly Resolver[], expectations: readonly Expectation[]) {
    this.#dns = dns
    this.#resolvers = resolvers
    this.#isIntercepted = world.isIntercepted
    this.#expectations = withChains(expectations)
  }

  async look(run: StepRun): Promise<ServersView> {
    if (this.#expectations.length === 0) return { agreed: 0, total: 0, settled: true, blind: false, lagging: [] }
    const found = await this.#findAuthoritative(run)
    const heard = await this.#ask(found, run)
    if (!this.#looked) await this.#beSureOfTheWay(heard, run)
    this.#looked = true
    // What isn't theirs says nothing of the zone.
    const isOurs = this.#authoritative !== undefined && this.#authoritative.length > 0
    const [authoritative, source] = isOurs ? [found, heard] : [[], []]
    const published = source.every(({ state, server }) => state === 'agrees' || this.#isLeftOut(server))
    const caches = published ? await this.#ask(this.#resolvers, run) : []
    for (const opinion of caches) this.#watchLaggard(opinion, run)
    const opinions = [...source, ...caches].filter(({ server }) => !this.#same.has(server))
    this.#tellLaggards(opinions, run)
    const servers = [...authoritative, ...this.#resolvers].filter(({ label }) => !this.#isLeftOut(label))
    const agreed = opinions.filter(({ state, server }) => state === 'agrees' && !this.#isLeftOut(server)).length
    return {
      agreed,
      total: servers.length,
      settled: servers.length > 0 && agreed === servers.length,
      blind: servers.length === 0,
      lagging: opinions
        .filter(({ state }) => state === 'lags')
        .map(({ server, detail, ttlLeftSeconds }) => ({ server, says: detail, ttlLeftSeconds })),
    }
  }

  #isLeftOut(label: string): boolean {
    return this.#isUnreachable(label) || this.#ignored.has(label) || this.#same.has(label)
  }

  /** Somebody on the way may answer for every name server: then only what comes over HTTPS is theirs. */
  async #beSureOfTheWay(heard: readonly Opinion[], run: StepRun): Promise<void> {
    const overHttps = this.#resolvers.flatMap((each) => each.overHttps ?? [])
    const answered = heard.filter(({ state }) => state !== 'silent')
    const withoutAuthority = answered.length > 0 && answered.every(({ authoritative }) => !authoritative)
    const name = this.#expectations[0]?.name
    const probed = overHttps.length > 0 && name !== undefined && (await this.#isIntercepted?.(name, run.signal)) === true
    if (!probed && !withoutAuthority) return
    run.emit({ event: 'finding', ...intercepted(probed, answered, overHttps.length) })
    if (overHttps.length === 0) return
    this.#resolvers = overHttps
    this.#authoritative = []
  }

  /**
   * One that goes on saying otherwise long after the time it named doesn't lag, it makes up its answers or never forgets them. It
   * would keep the watch open for ever; whether its users still come to the old host is to be seen there.
   */
  #watchLaggard({ server, state, ttlLeftSeconds, detail }: Opinion, run: StepRun): void {
    if (state === 'same') this.#same.add(server)
    else this.#same.delete(server)
    if (state === 'agrees') {
      this.#lagsSince.delete(server)
      if (this.#ignored.delete(server))
        run.emit({ event: 'note', message: `${server} gives the new address at last and is counted again.` })
    }
    if (state !== 'lags' || this.#ignored.has(server)) return
    const now = run.clock.monotonic()
    const since = this.#lagsSince.get(server) ?? { at: now, ttlMs: (ttlLeftSeconds ?? 0) * 1000 }
    this.#lagsSince.set(server, since)
    if (now - since.at < Math.max(PATIENCE_MS, since.ttlMs * PATIENCE_TTLS)) return
    this.#ignored.add(server)
    run.emit({ event: 'finding', ...lies(server, detail, now - since.at, since.ttlMs) })
  }

  async #findAuthoritative(run: StepRun): Promise<readonly Resolver[]> {
    if (this.#authoritative !== undefined) return this.#authoritative
    try {
      this.#authoritative = await this.#dns.authoritative()
    } catch (error) {
      run.signal.throwIfAborted()
      this.#authoritative = []
      run.emit({
        event: 'finding',
        severity: 'warning',
        code: 'dns-authoritative-unknown',
        message: messageOf(error),
        hint: 'The watch goes on with the resolvers alone.',
      })
    }
    return this.#authoritative
  }

  async #ask(servers: readonly Resolver[], run: StepRun): Promise<readonly Opinion[]> {
    const { opinions } = await observe(this.#expectations, servers, run.signal)
    for (const opinion of opinions) this.#count(opinion, run)
    return opinions
  }

  #isUnreachable(label: string): boolean {
    return (this.#silent.get(label) ?? 0) >= SILENT_LOOKS
  }

  #count({ server, state, detail }: Opinion, run: StepRun): void {
    if (state !== 'silent') {
      if (this.#isUnreachable(server)) run.emit({ event: 'note', message: `${server} answers again and is counted again.` })
      this.#silent.delete(server)
      return
    }
    const looks = (this.#silent.get(server) ?? 0) + 1
    this.#silent.set(server, looks)
    if (looks !== SILENT_LOOKS) return
    run.emit({
      event: 'finding',
      severity: 'info',
      code: 'resolver-unreachable',
      message: `${server} gave no answer ${SILENT_LOOKS} times in a row (${detail}) and is left out of the count until it does.`,
      hint: 'It may not serve this network; its users aren’t watched from here.',
    })
  }

  /** Said when it changes, not at every look. */
  #tellLaggards(opinions: readonly Opinion[], run: StepRun): void {
    const lagging = opinions.filter((opinion) => opinion.state === 'lags')
    const key = lagging.map((opinion) => opinion.server).join()
    if (key === this.#lagging) return
    this.#lagging = key
    if (lagging.length === 0) return
    const named = lagging.slice(0, MOST_NAMED).map(sayLag).join('; ')
    const rest = lagging.length > MOST_NAMED ? ` and ${lagging.length - MOST_NAMED} more` : ''
    run.emit({
      event: 'note',
      inFigures: true,
      message: `${lagging.length} of ${opinions.length} asked still give another answer: ${named}${rest}.`,
    })
  }
}

const sayLag = ({ server, detail, ttlLeftSeconds }: Opinion): string =>
  `${server} says ${detail}${ttlLeftSeconds === null ? '' : `, for ${formatDuration(ttlLeftSeconds * 1000)} more`}`

const intercepted = (probed: boolean, answered: readonly Opinion[], ways: number) =>
  ({
    severity: 'warning',
    code: 'dns-intercepted',
    message: probed
      ? 'Questions to name servers are intercepted on the way: an address that nobody has answers them. What "they" say is one server’s word.'
      : `The zone’s name servers answer without authority (${answered.map(({ server }) => server).join(', ')}): they aren’t the zone’s, or somebody on the way answers in their place.`,
    hint:
      ways > 0
        ? `The watch asks ${ways} public resolvers over HTTPS instead.`
        : 'Watch from another network, or give resolvers that are asked over HTTPS: resolvers: ["https://9.9.9.9/dns-query"].',
  }) as const

const lies = (server: string, detail: string, ms: number, ttlMs: number) =>
  ({
    severity: 'warning',
    code: 'resolver-lies',
    message: `${server} still says ${detail}, ${formatDuration(ms)} after it was first asked${ttlMs > 0 ? `, though it named a TTL of ${formatDuration(ttlMs)}` : ''}: it makes up its answers or never forgets them. It is left out of the count.`,
    hint: 'Its users may still come to the old host: orders and hits there tell.',
  }) as const
