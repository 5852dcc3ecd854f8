import { messageOf } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import type { Resolver } from '../dns/port.ts'
import { type Expectation, type Opinion, observe } from '../dns/propagation.ts'
import type { Laggard } from '../run/events.ts'
import type { StepRun } from '../run/step.ts'
import type { DnsTarget } from './world.ts'

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

/**
 * Asks the zone's name servers and, once they agree, the resolvers: a resolver that is asked too early would keep the old answer,
 * or that there is none, for another TTL.
 */
export class ServerWatch {
  readonly #dns: DnsTarget
  readonly #resolvers: readonly Resolver[]
  readonly #expectations: readonly Expectation[]
  readonly #silent = new Map<string, number>()
  #authoritative: readonly Resolver[] | undefined
  #lagging = ''

  constructor(dns: DnsTarget, resolvers: readonly Resolver[], expectations: readonly Expectation[]) {
    this.#dns = dns
    this.#resolvers = resolvers
    this.#expectations = expectations
  }

  async look(run: StepRun): Promise<ServersView> {
    if (this.#expectations.length === 0) return { agreed: 0, total: 0, settled: true, blind: false, lagging: [] }
    const authoritative = await this.#findAuthoritative(run)
    const source = await this.#ask(authoritative, run)
    const published = source.every(({ state, server }) => state === 'agrees' || this.#isUnreachable(server))
    const caches = published ? await this.#ask(this.#resolvers, run) : []
    const opinions = [...source, ...caches]
    this.#tellLaggards(opinions, run)
    const servers = [...authoritative, ...this.#resolvers].filter((server) => !this.#isUnreachable(server.label))
    const agreed = opinions.filter((opinion) => opinion.state === 'agrees').length
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
      message: `${lagging.length} of ${opinions.length} asked still give another answer: ${named}${rest}.`,
    })
  }
}

const sayLag = ({ server, detail, ttlLeftSeconds }: Opinion): string =>
  `${server} says ${detail}${ttlLeftSeconds === null ? '' : `, for ${formatDuration(ttlLeftSeconds * 1000)} more`}`
