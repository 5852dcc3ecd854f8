import { BlockList, isIPv6 } from 'node:net'

/** Addresses that no mail ever reaches the world from (IANA's special-purpose registries, RFC 6890 and what came after). */
const special = new BlockList()
const SPECIAL: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
  ['2001:db8::', 32],
]
for (const [network, prefix] of SPECIAL) special.addSubnet(network, prefix, familyOf(network))

export function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4'
}

/** False for loopback, private, link-local and documentation addresses. */
export const isPublic = (address: string): boolean => !special.check(address, familyOf(address))

/** The labels of an address backwards: `20.100.51.198` of 198.51.100.20; 32 nibbles of an IPv6 address (RFC 3596, 2.5). */
export const reversedLabels = (address: string): string =>
  isIPv6(address) ? [...nibblesOf(address)].reverse().join('.') : address.split('.').reverse().join('.')

/** The name under which an address's own name stands: `20.100.51.198.in-addr.arpa`. */
export const reverseName = (address: string): string => `${reversedLabels(address)}.${isIPv6(address) ? 'ip6' : 'in-addr'}.arpa`

/** The 32 hexadecimal digits of an IPv6 address. */
export function nibblesOf(address: string): string {
  // URL gives the one spelling, without an embedded IPv4 part.
  const plain = new URL(`http://[${address}]/`).hostname.slice(1, -1)
  const [head = '', tail = ''] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === '' ? [] : tail.split(':')
  const middle = plain.includes('::') ? Array.from({ length: 8 - left.length - right.length }, () => '0') : []
  return [...left, ...middle, ...right].map((group) => group.padStart(4, '0')).join('')
}
