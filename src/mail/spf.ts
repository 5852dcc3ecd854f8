import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'
import { familyOf, reverseName } from './addresses.ts'
import type { Lookup } from './lookup.ts'
import { expandMacros, type MacroValues } from './spf-macros.ts'

/** RFC 7208, 2.6. */
export type SpfResult = 'none' | 'neutral' | 'pass' | 'fail' | 'softfail' | 'temperror' | 'permerror'

export interface SpfVerdict {
  readonly result: SpfResult
  /** The domain's own record; `null` when it has none, or more than one. */
  readonly record: string | null
  /** The term that decided, or what is wrong with the record. */
  readonly why: string
}

/** RFC 7208, 4.6.4: terms that ask DNS, and addresses looked at for one `mx` or `ptr`. */
const MOST_LOOKUPS = 10
const MOST_NAMES = 10
const MOST_VOID = 2

/** Ends the evaluation with one of the two errors. */
class SpfFault extends Error {
  readonly result: 'temperror' | 'permerror'

  constructor(result: 'temperror' | 'permerror', message: string) {
    super(message)
    this.result = result
  }
}

/**
 * Whether a mail from `sender` may come from `address`: check_host() of RFC 7208, 4.
 *
 * @param address IPv4 or IPv6 address of the sending host
 * @param sender the envelope's sender, `orders@shop.example`
 * @throws only what `lookup` throws
 */
export async function checkSpf(address: string, sender: string, lookup: Lookup): Promise<SpfVerdict> {
  const domain = sender.slice(sender.lastIndexOf('@') + 1).toLowerCase()
  const evaluation = new Evaluation(address, sender, lookup)
  try {
    return await evaluation.check(domain)
  } catch (error) {
    if (error instanceof SpfFault) return { result: error.result, record: evaluation.first, why: error.message }
    throw error
  }
}

const QUALIFIERS: Readonly<Record<string, SpfResult>> = { '+': 'pass', '-': 'fail', '~': 'softfail', '?': 'neutral' }
const TERM = /^([+\-~?]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::(\S*?))?((?:\/\d{1,3})?(?:\/\/\d{1,3})?)$/i
const MODIFIER = /^([a-z][a-z0-9._-]*)=(.*)$/i

interface Term {
  readonly text: string
  readonly result: SpfResult
  readonly mechanism: string
  readonly value: string | undefined
  readonly prefix4: number
  readonly prefix6: number
}

class Evaluation {
  readonly #address: string
  readonly #sender: string
  readonly #lookup: Lookup
  /** The record of the domain that was asked about first. */
  first: string | null = null
  #lookups = 0
  #void = 0

  constructor(address: string, sender: string, lookup: Lookup) {
    this.#address = address
    this.#sender = sender
    this.#lookup = lookup
  }

  async check(domain: string): Promise<SpfVerdict> {
    const record = await this.#recordOf(domain)
    if (record === null) return { result: 'none', record: null, why: `${domain} has no SPF record` }
    this.first ??= record
    const { terms, redirect } = parseRecord(record)
    for (const term of terms) {
      if (await this.#matches(term, domain)) return { result: term.result, record: this.first, why: term.text }
    }
    if (redirect === undefined) return { result: 'neutral', record: this.first, why: 'no term of the record matches' }
    this.#count()
    const there = await this.check(this.#expand(redirect, domain))
    if (there.result === 'none') throw new SpfFault('permerror', `redirect=${redirect} leads to no SPF record`)
    return there
  }

  async #recordOf(domain: string): Promise<string | null> {
    const { state, values, status } = await this.#lookup(domain, 'TXT')
    if (state === 'unknown') throw new SpfFault('temperror', `${domain} TXT: ${status}`)
    const records = values.filter((text) => /^v=spf1( |$)/i.test(text))
    if (records.length > 1) throw new SpfFault('permerror', `${domain} has ${records.length} SPF records; only one is allowed`)
    return records[0] ?? null
  }

  async #matches(term: Term, domain: string): Promise<boolean> {
    const { mechanism, value } = term
    if (mechanism === 'all') return true
    if (mechanism === 'ip4' || mechanism === 'ip6') return this.#isWithin([value ?? ''], term)
    this.#count()
    const name = value === undefined ? domain : this.#expand(value, domain)
    if (mechanism === 'include') return this.#included(name)
    if (mechanism === 'a') return this.#isWithin(await this.#addresses(name), term)
    if (mechanism === 'mx') return this.#isOneOfMx(name, term)
    if (mechanism === 'exists') return (await this.#ask(name, 'A')).length > 0
    return this.#hasName(name)
  }

  /** RFC 7208, 5.2: only a pass of the included record matches. */
  async #included(name: string): Promise<boolean> {
    const inner = await this.check(name)
    if (inner.result === 'none') throw new SpfFault('permerror', `include:${name} has no SPF record`)
    return inner.result === 'pass'
  }

  async #isOneOfMx(name: string, term: Term): Promise<boolean> {
    const exchanges = (await this.#ask(name, 'MX')).map((text) => text.split(' ')[1] ?? '')
    if (exchanges.length > MOST_NAMES) throw new SpfFault('permerror', `${name} has more than ${MOST_NAMES} MX records`)
    for (const exchange of exchanges) {
      if (exchange !== '' && exchange !== '.' && this.#isWithin(await this.#addresses(exchange), term)) return true
    }
    return false
  }

  /** RFC 7208, 5.5: a name of the address, confirmed forwards, that is the domain or below it. */
  async #hasName(domain: string): Promise<boolean> {
    const names = (await this.#ask(reverseName(this.#address), 'PTR')).slice(0, MOST_NAMES)
    for (const name of names) {
      if (name !== domain && !name.endsWith(`.${domain}`)) continue
      if ((await this.#addresses(name)).includes(this.#address)) return true
    }
    return false
  }

  #addresses(name: string): Promise<readonly string[]> {
    return this.#ask(name, isIPv4(this.#address) ? 'A' : 'AAAA')
  }

  async #ask(name: string, type: 'A' | 'AAAA' | 'MX' | 'PTR'): Promise<readonly string[]> {
    const { state, values, status } = await this.#lookup(name, type)
    if (state === 'unknown') throw new SpfFault('temperror', `${name} ${type}: ${status}`)
    if (state === 'none') this.#void += 1
    if (this.#void > MOST_VOID) throw new SpfFault('permerror', `more than ${MOST_VOID} of the names in the record don't exist`)
    return values
  }

  #isWithin(networks: readonly string[], { prefix4, prefix6 }: Term): boolean {
    const list = new BlockList()
    for (const network of networks) {
      list.addSubnet(network, isIPv6(network) ? prefix6 : prefix4, familyOf(network))
    }
    return list.check(this.#address, familyOf(this.#address))
  }

  #count(): void {
    this.#lookups += 1
    if (this.#lookups > MOST_LOOKUPS) {
      throw new SpfFault('permerror', `the record needs more than ${MOST_LOOKUPS} lookups, so receivers give up on it`)
    }
  }

  #expand(text: string, domain: string): string {
    const values: MacroValues = { address: this.#address, sender: this.#sender, domain }
    const name = expandMacros(text, values)
    if (name === undefined) throw new SpfFault('permerror', `"${text}" is no domain`)
    return name
  }
}

function parseRecord(record: string): { readonly terms: readonly Term[]; readonly redirect: string | undefined } {
  const terms: Term[] = []
  const modifiers = new Map<string, string>()
  for (const text of record.split(/ +/).slice(1)) {
    if (text === '') continue
    const modifier = MODIFIER.exec(text)
    if (modifier !== null) {
      const [, name = '', value = ''] = modifier
      const key = name.toLowerCase()
      if ((key === 'redirect' || key === 'exp') && modifiers.has(key)) throw new SpfFault('permerror', `${key}= stands twice`)
      modifiers.set(key, value)
    } else terms.push(parseTerm(text))
  }
  // RFC 7208, 6.1: where `all` stands, redirect is not looked at.
  const redirect = terms.some((term) => term.mechanism === 'all') ? undefined : modifiers.get('redirect')
  return { terms, redirect }
}

function parseTerm(text: string): Term {
  const match = TERM.exec(text)
  if (match === null) throw new SpfFault('permerror', `"${text}" is no term of SPF`)
  const [, qualifier = '', name = '', value, prefixes = ''] = match
  const mechanism = name.toLowerCase()
  const wide = /(?<!\/)\/(\d+)/.exec(prefixes.replace(/\/\/\d+$/, ''))?.[1]
  const six = /\/\/(\d+)$/.exec(prefixes)?.[1] ?? (mechanism === 'ip6' ? wide : undefined)
  const term: Term = {
    text,
    result: QUALIFIERS[qualifier === '' ? '+' : qualifier] ?? 'neutral',
    mechanism,
    value,
    prefix4: wide === undefined || mechanism === 'ip6' ? 32 : Number(wide),
    prefix6: six === undefined ? 128 : Number(six),
  }
  const isLiteral = mechanism === 'ip4' || mechanism === 'ip6'
  const needsValue = isLiteral || mechanism === 'include' || mechanism === 'exists'
  const isWrong =
    value === '' ||
    (needsValue && value === undefined) ||
    (mechanism === 'all' && value !== undefined) ||
    (isLiteral && isIP(value ?? '') !== (mechanism === 'ip4' ? 4 : 6)) ||
    (prefixes !== '' && !isLiteral && mechanism !== 'a' && mechanism !== 'mx') ||
    term.prefix4 > 32 ||
    term.prefix6 > 128
  if (isWrong) throw new SpfFault('permerror', `"${text}" is no term of SPF`)
  return term
}
