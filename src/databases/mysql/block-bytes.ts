export const TAB = 9
export const NEWLINE = 10
export const BACKSLASH = 92
export const CAPITAL_N = 78

/** From this length on, copying is left to memcpy. */
const LONG = 48

/** Copies a value that needs no backslash behind what stands in a block; returns where it ends there. */
export function copy(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  if (end - start >= LONG) return at + from.copy(to, at, start, end)
  let place = at
  for (let index = start; index < end; index += 1) {
    to[place] = from[index] ?? 0
    place += 1
  }
  return place
}

/** From this length on, the bytes that need a backslash are looked for by memchr, one kind after the other. */
const SEARCHED = 96
/** Where they stand closer than so many bytes apart, on average, looking at each byte takes less. */
const APART = 24

/** The same for any other, which may grow to twice its length. */
export function escaped(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  return end - start < SEARCHED ? escapedShort(from, start, end, to, at) : escapedLong(from, start, end, to, at)
}

function escapedShort(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  let place = at
  for (let index = start; index < end; index += 1) {
    const byte = from[index] ?? 0
    if (byte === BACKSLASH || byte === TAB || byte === NEWLINE) {
      to[place] = BACKSLASH
      place += 1
    }
    to[place] = byte
    place += 1
  }
  return place
}

function escapedLong(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
  const value = from.subarray(start, end)
  const next = (byte: number, after: number): number => {
    const found = value.indexOf(byte, after)
    return found === -1 ? value.length : found
  }
  let [backslash, tab, newline] = [next(BACKSLASH, 0), next(TAB, 0), next(NEWLINE, 0)]
  let place = at
  let copied = 0
  for (let found = 1; ; found += 1) {
    const first = Math.min(backslash, tab, newline)
    place = copy(value, copied, first, to, place)
    if (first === value.length) return place
    to[place] = BACKSLASH
    to[place + 1] = value[first] ?? 0
    place += 2
    copied = first + 1
    if (copied < found * APART) return escapedShort(value, copied, value.length, to, place)
    if (first === backslash) backslash = next(BACKSLASH, copied)
    else if (first === tab) tab = next(TAB, copied)
    else newline = next(NEWLINE, copied)
  }
}
