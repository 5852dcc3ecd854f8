import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { MigrateError } from '../base/errors.ts'

/** One letter-digit-hyphen label (RFC 1123, 2.1); the underscore occurs in service names. */
const LABEL = /^_?[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?$/
const LONGEST_NAME = 253
const LONGEST_LABEL = 63

/**
 * The one spelling of a name: ASCII (Punycode), lower case, no trailing dot. Throws MigrateError `dns-name-invalid` for text that
 * is no host name, so that it never reaches a packet, a command line or a URL.
 */
export function canonicalName(text: string): string {
  const wildcard = text.startsWith('*.')
  const body = (wildcard ? text.slice(2) : text).replace(/\.$/, '')
  // Lower-cases and encodes as Punycode; '' means invalid. The asterisk is kept out of it.
  const ascii = domainToASCII(body)
  const name = wildcard ? `*.${ascii}` : ascii
  const labels = ascii.split('.')
  const legal =
    ascii !== '' && name.length <= LONGEST_NAME && labels.every((label) => label.length <= LONGEST_LABEL && LABEL.test(label))
  if (legal && isIP(name) === 0) return name
  throw new MigrateError('dns-name-invalid', `"${text.slice(0, 80)}" is not a name that DNS can hold.`, {
    hint: 'A name has letters, digits and hyphens between dots, such as www.shop.example.',
  })
}

/**
 * The one spelling of a record's content, so that two spellings of one address or name are equal. Content that is no address is
 * kept as it is, in lower case: what a provider says is compared, never refused.
 */
export function canonicalContent(type: string, content: string): string {
  const plain = content.trim().replace(/\.$/, '').toLowerCase()
  if (type === 'AAAA' && isIP(plain) === 6) return new URL(`http://[${plain}]/`).hostname.slice(1, -1)
  return plain
}

/** The wildcard names that would answer for `name` in `zone` when it has no records of its own: `*.b.zone`, `*.zone`. */
export function wildcardsFor(name: string, zone: string): readonly string[] {
  const wildcards: string[] = []
  let rest = name
  while (rest !== zone && rest.includes('.')) {
    rest = rest.slice(rest.indexOf('.') + 1)
    if (rest === zone || rest.endsWith(`.${zone}`)) wildcards.push(`*.${rest}`)
  }
  return wildcards
}

export interface ServerAddress {
  readonly address: string
  readonly port: number
}

const DNS_PORT = 53

/** `192.0.2.1`, `192.0.2.1:5301`, `2001:db8::1`, `[2001:db8::1]:5301` → address and port; MigrateError `dns-address-invalid`. */
export function parseServerAddress(text: string): ServerAddress {
  const match = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([^:]+)(?::(\d{1,5}))?$/.exec(text)
  const address = match?.[1] ?? text
  const port = match?.[2] === undefined ? DNS_PORT : Number(match[2])
  if (isIP(address) !== 0 && port > 0 && port < 65536) return { address, port }
  throw new MigrateError('dns-address-invalid', `"${text.slice(0, 80)}" is not the address of a name server.`, {
    hint: 'Write an IP address, with a port where it is not 53: 192.0.2.1 or 127.0.20.1:5301 or [2001:db8::1]:53.',
  })
}

/** `192.0.2.1`, or with its port where that isn't 53. */
export const formatServerAddress = ({ address, port }: ServerAddress): string =>
  port === DNS_PORT ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
