/** Chance that comes out the same for the same seed, so that a demo can be repeated. */
export interface Luck {
  /** 0 ≤ n < 1. */
  fraction(): number
  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number
  /** True with this probability. */
  chance(probability: number): boolean
  pick<T>(choices: readonly [T, ...T[]]): T
  /** A version 4 UUID in form, repeatable in content. */
  uuid(): string
  /** A further source, its course fixed by this one and the name alone. */
  branch(name: string): Luck
}

/** Mulberry32, Tommy Ettinger's 32-bit generator: even enough for shoppers. Not for secrets. */
export function luck(seed: number): Luck {
  let state = seed >>> 0
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (least: number, most: number): number => least + Math.floor(fraction() * (most - least + 1))
  return {
    fraction,
    between,
    chance: (probability) => fraction() < probability,
    pick: (choices) => choices[between(0, choices.length - 1)] ?? choices[0],
    uuid: () => uuidFrom(Array.from({ length: 31 }, () => between(0, 15).toString(16)).join('')),
    branch: (name) =>
      luck([...name].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 0x01000193), seed ^ 0x811c9dc5)),
  }
}

const uuidFrom = (digits: string): string =>
  `${digits.slice(0, 8)}-${digits.slice(8, 12)}-4${digits.slice(12, 15)}-8${digits.slice(15, 18)}-${digits.slice(18, 30)}`
