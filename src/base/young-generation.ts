import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Bytes of V8's young generation from which on it grows no further; it may be twice as much by the time that is seen. */
const ENOUGH_BYTES = 8 * 1024 * 1024

/**
 * After each collection of the old generation it may grow by so much, per cent, before the next. Half of it would save 10 MiB of 200, and cost a
 * fifth of the processor time: what is kept of a copy is little, and was gone through sixty times for 40,000 files' way.
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
  const observer = new PerformanceObserver(() => {
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
    if (young === undefined || young.space_size < ENOUGH_BYTES) return
    setFlagsFromString('--semi-space-growth-factor=1')
    observer.disconnect()
  })
  observer.observe({ entryTypes: ['gc'] })
}

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
