import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { systemClock } from '../../../src/base/clock.ts'

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

const SAMPLE_MS = 50
const PAGE_BYTES = 4096

/** Watches the memory of the programs that a tool starts; ends them, and all that they started, when it is told to. */
export class Meter {
  /** The most memory that all of them and their children held at one moment (resident set size), bytes; 0 where it can't be seen. */
  peakBytes = 0
  readonly #stop: AbortSignal | undefined

  constructor(stop?: AbortSignal) {
    this.#stop = stop
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
    while (!over.aborted) {
      const bytes = children.reduce((sum, child) => sum + treeBytes(child.pid ?? 0), 0)
      this.peakBytes = Math.max(this.peakBytes, bytes)
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

/** Resident memory of a process and all below it (proc(5): statm, children); one that has just ended has none. */
function treeBytes(pid: number): number {
  const folder = `/proc/${pid}`
  if (!existsSync(folder)) return 0
  try {
    const pages = Number(readFileSync(`${folder}/statm`, 'utf8').split(' ')[1])
    const below = readdirSync(`${folder}/task`).flatMap((task) =>
      readFileSync(`${folder}/task/${task}/children`, 'utf8').split(' '),
    )
    return below.filter((text) => text.trim() !== '').reduce((sum, text) => sum + treeBytes(Number(text)), pages * PAGE_BYTES)
  } catch (error) {
    // It ended between two looks.
    if (existsSync(folder)) throw error
    return 0
  }
}

const TICK_SECONDS = 0.01

/** Processor seconds that a process and its children have used, those that have ended too (proc(5), /proc/pid/stat); 0 where it can't be seen. */
export function processorSeconds(pid: number): number {
  const file = `/proc/${pid}/stat`
  if (!existsSync(file)) return 0
  // The program's name, in brackets, may hold spaces: user, system, and both of the children that were waited for stand 11 fields on.
  const own = (readFileSync(file, 'utf8').split(') ').at(-1) ?? '').split(' ').slice(11, 15)
  const below = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')
  return below
    .filter((text) => text.trim() !== '')
    .reduce(
      (sum, text) => sum + processorSeconds(Number(text)),
      own.reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_SECONDS,
    )
}
