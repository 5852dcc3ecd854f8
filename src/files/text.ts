import { MigrateError } from '../base/errors.ts'

/**
 * Text of a file whose bytes must come back exactly as they were, save for what is changed in it. UTF-8 and UTF-16 are known by
 * their byte order mark, UTF-8 also by being valid; every other file is taken as Windows-1252, of which Latin-1's printable
 * characters are a part, byte by byte.
 */
export interface FileText {
  /** Without the mark. */
  readonly text: string
  readonly encoding: 'utf8' | 'utf16le' | 'utf16be' | 'windows-1252'
  /** Begins with a byte order mark. */
  readonly mark: boolean
  /** A last byte that makes no whole UTF-16 unit. */
  readonly rest: Buffer
}

const MARK = '\ufeff'
const NOTHING = Buffer.alloc(0)

/** Bytes 0x80 to 0x9F in Windows-1252 (WHATWG Encoding, index windows-1252); the five unused ones stand for themselves. */
const HIGH = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ'
const BYTES = new Map([...HIGH].map((character, index) => [character, String.fromCharCode(0x80 + index)]))

/** Every file has a text, and `encodeText` makes the same bytes of it again. */
export function decodeText(bytes: Buffer): FileText {
  const mark = bytes.length >= 2 ? bytes.readUInt16BE(0) : 0
  if (mark === 0xfffe || mark === 0xfeff) return decodeWide(bytes, mark === 0xfffe ? 'utf16le' : 'utf16be')
  const text = bytes.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(bytes))
    return { text: fromBytes(bytes), encoding: 'windows-1252', mark: false, rest: NOTHING }
  const marked = text.startsWith(MARK)
  return { text: marked ? text.slice(1) : text, encoding: 'utf8', mark: marked, rest: NOTHING }
}

function decodeWide(bytes: Buffer, encoding: 'utf16le' | 'utf16be'): FileText {
  const even = bytes.length - (bytes.length % 2)
  const units = Buffer.from(bytes.subarray(2, even))
  if (encoding === 'utf16be') units.swap16()
  return { text: units.toString('utf16le'), encoding, mark: true, rest: Buffer.from(bytes.subarray(even)) }
}

const fromBytes = (bytes: Buffer): string =>
  bytes.toString('latin1').replace(/[\x80-\x9f]/g, (byte) => HIGH[byte.charCodeAt(0) - 0x80] ?? byte)

/** Throws MigrateError `config-text-unencodable` when the file's encoding has no such character: it is never written as `?`. */
export function encodeText(file: FileText): Buffer {
  const text = file.mark ? MARK + file.text : file.text
  if (file.encoding === 'utf8') return Buffer.from(text, 'utf8')
  if (file.encoding === 'windows-1252') return toBytes(text)
  const units = Buffer.from(text, 'utf16le')
  if (file.encoding === 'utf16be') units.swap16()
  return Buffer.concat([units, file.rest])
}

function toBytes(text: string): Buffer {
  const bytes = text.replace(/[^\0-\x7f\xa0-\xff]/gu, (character) => {
    const byte = BYTES.get(character)
    if (byte !== undefined) return byte
    throw new MigrateError(
      'config-text-unencodable',
      `is written in Windows-1252 or Latin-1, which has no character U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}, and what is to be written holds one.`,
      { hint: 'Write the value with other characters, or save the file as UTF-8 on the old host first.' },
    )
  })
  return Buffer.from(bytes, 'latin1')
}

/** True when the file may hold every character, so that nothing needs to be escaped for its encoding's sake. */
export const holdsAll = (file: FileText): boolean => file.encoding !== 'windows-1252'

/** Line of an offset, counted from 1; line ends are CR LF, LF or CR. */
export const lineOf = (text: string, offset: number): number => text.slice(0, offset).split(/\r\n|\n|\r/).length

/** `matches`: offsets at which `from` stood. `already`: places where `to` stands, which were left alone. */
export interface Replaced {
  readonly text: string
  readonly matches: readonly number[]
  readonly already: number
}

/**
 * Replaces every `from` by `to`, but for those that are part of a `to` that stands there already: doing it twice is doing it once.
 */
export function replaceText(text: string, from: string, to: string): Replaced {
  // Only a `to` that holds `from` could be taken for a new match.
  const pieces = to !== '' && to.includes(from) ? text.split(to) : [text]
  const matches: number[] = []
  let offset = 0
  const replaced = pieces.map((piece) => {
    for (let at = piece.indexOf(from); at >= 0; at = piece.indexOf(from, at + from.length)) matches.push(offset + at)
    offset += piece.length + to.length
    return piece.split(from).join(to)
  })
  return { text: replaced.join(to), matches, already: to === '' ? 0 : text.split(to).length - 1 }
}

/** What belongs to one name: letters, digits, `_`, `-`, and dots within it. */
const NAME = /[\p{L}\p{N}_.-]/u
const LETTER = /[\p{L}\p{N}_]/u

/** True when the text at `offset` is a part of a longer name: `old.example.com` in `cdn-old.example.com`. */
export function isInsideName(text: string, offset: number, length: number): boolean {
  const end = offset + length
  const at = (index: number): string => text[index] ?? ''
  const startsName = LETTER.test(at(offset))
  const endsName = LETTER.test(at(end - 1))
  const before = NAME.test(at(offset - 1)) && (at(offset - 1) !== '.' || LETTER.test(at(offset - 2)))
  const after = NAME.test(at(end)) && (!/[.-]/.test(at(end)) || LETTER.test(at(end + 1)))
  return (startsName && before) || (endsName && after)
}
