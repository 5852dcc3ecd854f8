import { isUtf8 } from 'node:buffer'

/**
 * Names on Unix are bytes, and old sites have some that aren't UTF-8. In a path of this program each byte that is no part of a UTF-8
 * sequence stands as one character of this private range, U+10FE80 for the byte 0x80 up to U+10FEFF: texts stay plain Unicode, for the
 * manifest and the journal too, and no byte is lost. Bytes below 0x80 are always UTF-8: no `/` can hide so.
 */
const RANGE = 0x10fe00
const RAW = /[\u{10fe80}-\u{10feff}]/gu
/** The same, without looking at surrogates as pairs: quick to find that there is none, as nearly always. */
const HINT = /\udbff[\ude80-\udeff]/

/** The name that these bytes are; a real character of the private range counts as bytes, so that every name has one form. */
export function nameFrom(bytes: Buffer): string {
  if (isUtf8(bytes)) {
    const name = bytes.toString('utf8')
    if (!HINT.test(name)) return name
  }
  let name = ''
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at] ?? 0
    const letter = bytes.subarray(at, at + sequenceLength(byte))
    const text = isUtf8(letter) ? letter.toString('utf8') : ''
    const isPlain = text !== '' && !HINT.test(text)
    name += isPlain ? text : String.fromCodePoint(RANGE + byte)
    at += isPlain ? letter.length : 1
  }
  return name
}

/** Bytes of a UTF-8 sequence by its first (RFC 3629, section 3). */
const sequenceLength = (byte: number): number => (byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4)

/** The opposite of `nameFrom`. */
export function nameBytes(name: string): Buffer {
  if (!isRaw(name)) return Buffer.from(name, 'utf8')
  const pieces: Buffer[] = []
  let last = 0
  for (const { index, 0: letter } of name.matchAll(RAW)) {
    pieces.push(Buffer.from(name.slice(last, index), 'utf8'), Buffer.from([(letter.codePointAt(0) ?? RANGE) - RANGE]))
    last = index + letter.length
  }
  return Buffer.concat([...pieces, Buffer.from(name.slice(last), 'utf8')])
}

/** Whether a path holds bytes that aren't UTF-8. */
export const isRaw = (path: string): boolean => HINT.test(path)

/** For people: `caf\xE9`. */
export const shownPath = (path: string): string =>
  isRaw(path)
    ? path.replace(RAW, (letter) => `\\x${((letter.codePointAt(0) ?? RANGE) - RANGE).toString(16).toUpperCase()}`)
    : path

/** With one character for each such byte, for patterns in which `?` stands for one. */
export const withPlaceholders = (path: string): string => (isRaw(path) ? path.replace(RAW, '\ufffd') : path)
