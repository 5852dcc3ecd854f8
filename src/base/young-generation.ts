import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Bytes of V8's young generation: it is brought to so much, and no further. */
const ENOUGH_BYTES = 8 * 1024 * 1024
const MOST_TURNS = 400

/**
 * After each collection of the old generation it may grow by so much, per cent, before the next. 30 would save 10 MiB of 200, and cost a fifth of
 * the processor time (measured on 20,000 files: sixty collections of what little is kept).
 */
const OLD_GROWTH = 100

/**
 * Keeps V8's young generation small: by itself it grows to 96 MiB while files or rows stream through, for nothing (measured on 20,000
 * files: 331 instead of 230 MiB of memory, at the same processor time). `--max-semi-space-size` says the same, but only at the start of Node.
 * And has it collect what streamed through and lies dead in the old one before that has doubled and more (263 instead of 203 MiB, likewise).
 * V8's own affair: a version that has no such flag goes on as before.
 */
export function boundYoungGeneration(): void {
  setFlagsFromString(`--heap-growing-percent=${OLD_GROWTH}`)
  growYoung()
  setFlagsFromString('--semi-space-growth-factor=1')
}

/** It grows when much of what is young is still wanted at a look at it; takes 10 ms. Left to the work, it would double several times in one turn. */
function growYoung(): void {
  let kept: unknown[] = []
  for (let turn = 0; turn < MOST_TURNS && youngBytes() < ENOUGH_BYTES; turn += 1) {
    for (let index = 0; index < 10_000; index += 1) kept.push([index])
    if (turn % 4 === 3) kept = []
  }
}

const youngBytes = (): number =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? ENOUGH_BYTES

/** Bytes made aside between two looks at the young generation. With twice as many, some of them have grown old before it comes. */
const MADE_BYTES = 3 * 1024 * 1024
let made = 0
let collect: (() => void) | undefined

/**
 * Says that so many bytes were made outside V8's heap that nobody needs for long, as ciphers make them. V8 by itself looks through all of its
 * heap for every ten mebibytes of them; a look at the youngest objects is enough (measured on 600 MiB fetched and put: 111 looks at all of it, a
 * third of the processor time). V8's own affair, too: a version that can't be asked for it goes on as before.
 */
export function madeAside(bytes: number): void {
  made += bytes
  if (made < MADE_BYTES) return
  made = 0
  collect ??= collectorOfYoung()
  collect()
}

function collectorOfYoung(): () => void {
  // To share so small a work out among threads costs more than the work.
  for (const flag of ['--expose-gc', '--no-parallel-scavenge']) setFlagsFromString(flag)
  const gc: unknown = runInNewContext('typeof gc === "function" ? gc : undefined')
  return typeof gc === 'function' ? () => void gc({ type: 'minor', execution: 'sync' }) : () => undefined
}
