import { reversedLabels } from './addresses.ts'
import type { Lookup } from './lookup.ts'

export interface Listing {
  readonly list: string
  /** `silent`: the list doesn't answer from here (it refuses large public resolvers), so nothing is known. */
  readonly state: 'listed' | 'clear' | 'silent'
  /** What the list says of it: a link, mostly. */
  readonly reason: string
}

/** Lists that large receivers ask, as their operators publish them. */
export const blocklists: readonly string[] = ['zen.spamhaus.org', 'bl.spamcop.net', 'b.barracudacentral.org', 'psbl.surriel.com']

/** RFC 5782, 5: this address is on every list that works. */
const ALWAYS_LISTED = '127.0.0.2'

/**
 * Whether a list of senders of spam holds the address (RFC 5782, 2.1). That the list answers from here at all is tried first with
 * the address that every list must hold; answers in 127.255.255.0/24 are refusals (Spamhaus, "DNSBL error codes"), no listings.
 */
export async function listing(address: string, list: string, lookup: Lookup): Promise<Listing> {
  const proof = await lookup(`${reversedLabels(ALWAYS_LISTED)}.${list}`, 'A')
  if (!proof.values.some(isListing)) return { list, state: 'silent', reason: '' }
  const name = `${reversedLabels(address)}.${list}`
  const { state, values } = await lookup(name, 'A')
  if (state === 'unknown') return { list, state: 'silent', reason: '' }
  if (!values.some(isListing)) return { list, state: 'clear', reason: '' }
  const text = await lookup(name, 'TXT')
  return { list, state: 'listed', reason: text.values.join(' ') }
}

const isListing = (answer: string): boolean => answer.startsWith('127.') && !answer.startsWith('127.255.255.')
