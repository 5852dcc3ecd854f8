/**
 * Text of a file whose bytes must come back exactly as they were, save for what is replaced. UTF-16 is known by its byte order
 * mark; everything else is taken byte by byte, so that no encoding, line ending or mark is ever touched.
 */
export interface FileText {
  /** One character for each UTF-16 unit, or for each byte. */
  readonly text: string
  readonly encoding: 'utf16le' | 'utf16be' | 'bytes'
  /** A last byte that makes no whole UTF-16 unit. */
  readonly rest: Buffer
}

export function decodeText(bytes: Buffer): FileText {
  const mark = bytes.length >= 2 ? bytes.readUInt16BE(0) : 0
  if (mark !== 0xfffe && mark !== 0xfeff) return { text: bytes.toString('latin1'), encoding: 'bytes', rest: Buffer.alloc(0) }
  const even = bytes.length - (bytes.length % 2)
  const units = Buffer.from(bytes.subarray(0, even))
  const encoding = mark === 0xfffe ? 'utf16le' : 'utf16be'
  if (encoding === 'utf16be') units.swap16()
  return { text: units.toString('utf16le'), encoding, rest: Buffer.from(bytes.subarray(even)) }
}

export function encodeText(file: FileText): Buffer {
  if (file.encoding === 'bytes') return Buffer.from(file.text, 'latin1')
  const units = Buffer.from(file.text, 'utf16le')
  if (file.encoding === 'utf16be') units.swap16()
  return Buffer.concat([units, file.rest])
}

/** The text as a person reads it, for a diff: bytes as UTF-8 where they are that. */
export function readableText(file: FileText): string {
  if (file.encoding !== 'bytes') return file.text
  const bytes = Buffer.from(file.text, 'latin1')
  const text = bytes.toString('utf8')
  return text.includes('\uFFFD') ? file.text : text
}

/** `matches`: places where `from` stood. `already`: places where `to` stands, which were left alone. */
export interface Replaced {
  readonly file: FileText
  readonly matches: number
  readonly already: number
}

/**
 * Replaces every `from` by `to`, but for those that are part of a `to` that stands there already: doing it twice is doing it once.
 */
export function replaceText(file: FileText, from: string, to: string): Replaced {
  const spelled = (text: string, encoding: 'utf8' | 'latin1'): string =>
    file.encoding === 'bytes' ? Buffer.from(text, encoding).toString('latin1') : text
  const first = replaceUnits(file.text, spelled(from, 'utf8'), spelled(to, 'utf8'))
  const isPlain = [...from, ...to].every((character) => (character.codePointAt(0) ?? 0) < 0x80)
  const fitsByte = [...from, ...to].every((character) => (character.codePointAt(0) ?? 0) <= 0xff)
  const found = first.matches + first.already > 0 || isPlain || !fitsByte || file.encoding !== 'bytes'
  const result = found ? first : replaceUnits(file.text, spelled(from, 'latin1'), spelled(to, 'latin1'))
  return { file: { ...file, text: result.text }, matches: result.matches, already: result.already }
}

function replaceUnits(
  text: string,
  from: string,
  to: string,
): { readonly text: string; readonly matches: number; readonly already: number } {
  // Only a `to` that holds `from` could be taken for a new match.
  const pieces = to.includes(from) ? text.split(to) : [text]
  let matches = 0
  const replaced = pieces.map((piece) => {
    const parts = piece.split(from)
    matches += parts.length - 1
    return parts.join(to)
  })
  const already = to === '' ? 0 : text.split(to).length - 1
  return { text: replaced.join(to), matches, already }
}
