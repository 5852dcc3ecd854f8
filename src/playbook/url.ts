import { Secret } from '../base/secret.ts'
import type { FilledPiece } from './source.ts'

/** A host's URL taken apart. User, password and path are decoded. */
export interface HostUrl {
  /** Lower case, without the colon. */
  readonly scheme: string
  readonly user: string | undefined
  readonly password: Secret | undefined
  /** Without the brackets of an IPv6 address. */
  readonly host: string
  readonly port: number | undefined
  /** From the first slash on; '' when there is none. */
  readonly path: string
  readonly query: ReadonlyMap<string, string>
}

/** `hint` says what to write; neither repeats any part of the URL. */
export interface UrlFault {
  readonly fault: string
  readonly hint: string
}

// The parts of RFC 3986, appendix B, with the user information split off at the last @ before the path.
const PARTS = /^([a-z][a-z0-9+.-]*):\/\/(?:([^/?#]*)@)?([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?$/is
const HOST = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_]([a-z0-9._-]*[a-z0-9_])?))(?::(\d{1,5}))?$/i
const ENCODE_HINT = `A password with special characters is best kept in a variable: …user:\${PASSWORD}@host…`

/** True for `something://…`; anything else is the path of a local folder. */
export const hasScheme = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(text)

/**
 * Takes a URL apart (RFC 3986, section 3). What a variable puts into user or password is taken as it is, special characters and
 * all; what the file itself has there is percent-decoded.
 */
export function parseHostUrl(pieces: readonly FilledPiece[]): HostUrl | UrlFault {
  const whole = pieces.map((piece) => piece.text).join('')
  const marked = pieces.map((piece, index) => (piece.literal ? piece.text : mark(index))).join('')
  // A variable that brings the scheme brings a whole URL, which is then read as if it stood in the file.
  const own = hasScheme(marked)
  const match = PARTS.exec(own ? marked : whole)
  if (!match) return { fault: 'is no URL', hint: 'Write it like sftp://user@host/path.' }
  const fill = (text: string): string =>
    own ? text.replace(MARKS, (found) => pieces[found.charCodeAt(0) - FIRST_MARK]?.text ?? '') : text
  const host = HOST.exec(fill(match[3] ?? ''))
  if (!host) return { fault: 'has no host name that makes sense', hint: `Write it like sftp://user@host:22/path. ${ENCODE_HINT}` }
  const port = host[4] === undefined ? undefined : Number(host[4])
  if (port !== undefined && (port < 1 || port > 65_535))
    return { fault: 'has a port beyond 65535', hint: 'Use a port from 1 to 65535.' }
  try {
    const [user, password] = credentials(match[2], fill)
    const path = fill(decodeURIComponent(match[4] ?? ''))
    return {
      scheme: (match[1] ?? '').toLowerCase(),
      user,
      password,
      host: host[1] ?? host[2] ?? '',
      port,
      path,
      query: queryOf(fill(match[5] ?? '')),
    }
  } catch (error) {
    if (error instanceof URIError) return { fault: 'has a % that begins no escape', hint: `Write %25 for a %. ${ENCODE_HINT}` }
    throw error
  }
}

function credentials(
  text: string | undefined,
  fill: (text: string) => string,
): readonly [string | undefined, Secret | undefined] {
  if (text === undefined) return [undefined, undefined]
  const colon = text.indexOf(':')
  const user = fill(decodeURIComponent(colon < 0 ? text : text.slice(0, colon)))
  if (colon < 0) return [user === '' ? undefined : user, undefined]
  return [user === '' ? undefined : user, new Secret(fill(decodeURIComponent(text.slice(colon + 1))))]
}

const queryOf = (text: string): ReadonlyMap<string, string> => new Map(new URLSearchParams(text))

// Private-use characters stand for the variables while the URL is taken apart, so that nothing in a value is read as a part of it.
const FIRST_MARK = 0xe000
const MARKS = /[\ue000-\uf8ff]/g
const mark = (index: number): string => String.fromCharCode(FIRST_MARK + (index % 0x1000))
