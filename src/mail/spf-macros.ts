import { isIPv4 } from 'node:net'
import { nibblesOf } from './addresses.ts'

export interface MacroValues {
  readonly address: string
  readonly sender: string
  /** The domain whose record is being looked at. */
  readonly domain: string
}

const MACRO = /%(?:\{([slodipvh])(\d*)(r?)([.\-+,/_=]*)\}|(%|_|-)|(.?))/gi
const LITERALS: Readonly<Record<string, string>> = { '%': '%', _: ' ', '-': '%20' }
const LONGEST_NAME = 253

/** A domain-spec with its macros filled in (RFC 7208, 7); `undefined` when it is none. */
export function expandMacros(text: string, values: MacroValues): string | undefined {
  let broken = false
  const expanded = text.replace(MACRO, (_all, letter, digits, reverse, delimiters, literal) => {
    if (literal !== undefined) return LITERALS[String(literal)] ?? ''
    if (letter === undefined) {
      broken = true
      return ''
    }
    const parts = valueFor(String(letter).toLowerCase(), values).split(new RegExp(`[${escaped(String(delimiters))}]`))
    const ordered = reverse === '' ? parts : parts.reverse()
    const kept = digits === '' ? ordered : ordered.slice(-Number(digits))
    return kept.join('.')
  })
  if (broken || expanded === '') return undefined
  // RFC 7208, 7.3: labels are dropped from the left until the name is short enough.
  let name = expanded.replace(/\.$/, '').toLowerCase()
  while (name.length > LONGEST_NAME && name.includes('.')) name = name.slice(name.indexOf('.') + 1)
  return name
}

const escaped = (delimiters: string): string => (delimiters === '' ? '.' : delimiters.replace(/[-\]\\^]/g, '\\$&'))

function valueFor(letter: string, { address, sender, domain }: MacroValues): string {
  const at = sender.lastIndexOf('@')
  switch (letter) {
    case 's':
      return sender
    case 'l':
      return sender.slice(0, at)
    case 'o':
      return sender.slice(at + 1)
    case 'i':
      return isIPv4(address) ? address : [...nibblesOf(address)].join('.')
    case 'v':
      return isIPv4(address) ? 'in-addr' : 'ip6'
    // `p`, the validated name, "SHOULD NOT be used"; RFC 7208 allows "unknown". `h`, the HELO name, isn't known beforehand.
    case 'p':
      return 'unknown'
    default:
      return domain
  }
}
