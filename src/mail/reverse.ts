import { isIPv4 } from 'node:net'
import { reverseName } from './addresses.ts'
import type { Lookup } from './lookup.ts'

export interface ReverseName {
  /** `unconfirmed`: the name leads to another address. `generic`: made from the address, as hosts name machines nobody named. */
  readonly state: 'good' | 'missing' | 'unconfirmed' | 'generic' | 'unknown'
  /** '' when there is none. */
  readonly name: string
}

/** The name of an address, and whether that name leads back to it (forward-confirmed reverse DNS; RFC 1912, 2.1). */
export async function nameOfAddress(address: string, lookup: Lookup): Promise<ReverseName> {
  const { state, values } = await lookup(reverseName(address), 'PTR')
  const name = values[0] ?? ''
  if (state !== 'found') return { state: state === 'none' ? 'missing' : 'unknown', name }
  const forward = await lookup(name, isIPv4(address) ? 'A' : 'AAAA')
  if (forward.state === 'unknown') return { state: 'unknown', name }
  if (!forward.values.includes(address)) return { state: 'unconfirmed', name }
  return { state: isGeneric(name, address) ? 'generic' : 'good', name }
}

/** All four numbers of the address stand in its name: `198-51-100-20.static.host.example`. */
const isGeneric = (name: string, address: string): boolean =>
  isIPv4(address) && address.split('.').every((part) => new RegExp(`(?<!\\d)0*${part}(?!\\d)`).test(name))
