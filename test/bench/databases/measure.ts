import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { systemClock } from '../../../src/base/clock.ts'

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

const SAMPLE_MS = 50
const PAGE_BYTES = 4096
/** Clock ticks of proc(5), which are hundredths of a second on every Linux that people run. */
const TICK_SECONDS = 0.01

/** What processors did, seconds: for the programs of a tool, and for everybody else, which on a quiet machine is the servers. */
export interface Work {
  readonly own: number
  readonly rest: number
}

/** Watches the memory and the work of the programs that a tool starts; ends them, and all that they started, when it is told to. */
export class Meter {
  /** The most memory that all of them and their children held at one moment (resident set size), bytes; 0 where it can't be seen. */
  peakBytes = 0
  #ownSeconds = 0
  readonly #begun = busySeconds()
  readonly #stop: AbortSignal | undefined

  constructor(stop?: AbortSignal) {
    this.#stop = stop
  }

  /** Up to now, to about a tenth of a second. */
  get work(): Work {
    return { own: this.#ownSeconds, rest: Math.max(0, busySeconds() - this.#begun - this.#ownSeconds) }
  }

  async run(...pipeline: readonly Command[]): Promise<string> {
    const children: ChildProcess[] = []
    for (const [at, { file, args, env }] of pipeline.entries()) {
      const input = at === 0 ? 'ignore' : (children.at(-1)?.stdout ?? 'ignore')
      // Where they may be stopped they lead a group of their own: a shell alone would leave what it started behind.
      const detached = this.#stop !== undefined
      children.push(spawn(file, args, { stdio: [input, 'pipe', 'pipe'], env: { ...process.env, ...env }, detached }))
      // The next program reads it; what stays open here would keep that one waiting for more.
      if (at > 0) children[at - 1]?.stdout?.destroy()
    }
    const over = new AbortController()
    const watching = this.#watch(children, over.signal)
    const kill = (): void => {
      for (const { pid, exitCode } of children) if (pid !== undefined && exitCode === null) process.kill(-pid, 'SIGKILL')
    }
    this.#stop?.addEventListener('abort', kill, { once: true })
    let output = ''
    children.at(-1)?.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    try {
      await Promise.all(children.map(ended))
    } finally {
      this.#stop?.removeEventListener('abort', kill)
      over.abort()
      await watching
    }
    return output
  }

  async #watch(children: readonly ChildProcess[], over: AbortSignal): Promise<void> {
    const before = this.#ownSeconds
    let seconds = 0
    while (!over.aborted) {
      const seen = children.map((child) => tree(child.pid ?? 0))
      this.peakBytes = Math.max(
        this.peakBytes,
        seen.reduce((sum, { bytes }) => sum + bytes, 0),
      )
      seconds = Math.max(
        seconds,
        seen.reduce((sum, each) => sum + each.seconds, 0),
      )
      this.#ownSeconds = before + seconds
      await systemClock.sleep(SAMPLE_MS, over).catch(() => undefined)
    }
  }
}

function ended(child: ChildProcess): Promise<void> {
  let words = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-2000)
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      code === 0
        ? resolve()
        : reject(new Error(`${child.spawnargs.slice(0, 3).join(' ')} … ended with ${code ?? signal}: ${words}`)),
    )
  })
}

interface Seen {
  readonly bytes: number
  readonly seconds: number
}

/** Resident memory and work of a process and all below it (proc(5): statm, stat, children); one that has just ended has none. */
function tree(pid: number): Seen {
  const folder = `/proc/${pid}`
  if (!existsSync(folder)) return { bytes: 0, seconds: 0 }
  try {
    const bytes = Number(readFileSync(`${folder}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES
    // After the name in brackets comes the third field; the 14th to 17th are its own work and that of children that have ended.
    const fields = readFileSync(`${folder}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    const seconds = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_SECONDS
    const below = readdirSync(`${folder}/task`).flatMap((task) => childrenOf(`${folder}/task/${task}`))
    return below
      .filter((text) => text.trim() !== '')
      .map((text) => tree(Number(text)))
      .reduce((sum, each) => ({ bytes: sum.bytes + each.bytes, seconds: sum.seconds + each.seconds }), { bytes, seconds })
  } catch (error) {
    // It ended between two looks.
    if (existsSync(folder)) throw error
    return { bytes: 0, seconds: 0 }
  }
}

/** Of one thread; none where it has ended since it was listed. */
function childrenOf(folder: string): readonly string[] {
  try {
    return readFileSync(`${folder}/children`, 'utf8').split(' ')
  } catch (error) {
    if (existsSync(folder)) throw error
    return []
  }
}

const busySeconds = (): number =>
  cpus().reduce((sum, { times }) => sum + (times.user + times.nice + times.sys + times.irq) / 1000, 0)

/** Processor seconds that a process and its children have used, those that have ended too (proc(5), /proc/pid/stat); 0 where it can't be seen. */
export const processorSeconds = (pid: number): number => tree(pid).seconds
