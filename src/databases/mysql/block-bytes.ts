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

/** The same for any other, which may grow to twice its length. */
export function escaped(from: Buffer, start: number, end: number, to: Buffer, at: number): number {
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
