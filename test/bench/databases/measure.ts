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

/** Watches the memory of the programs that a tool starts. */
export class Meter {
  /** The most memory that all of them and their children held at one moment (resident set size), bytes; 0 where it can't be seen. */
  peakBytes = 0

  async run(...pipeline: readonly Command[]): Promise<string> {
    const children: ChildProcess[] = []
    for (const [at, { file, args, env }] of pipeline.entries()) {
      const input = at === 0 ? 'ignore' : (children.at(-1)?.stdout ?? 'ignore')
      children.push(spawn(file, args, { stdio: [input, 'pipe', 'pipe'], env: { ...process.env, ...env } }))
      // The next program reads it; what stays open here would keep that one waiting for more.
      if (at > 0) children[at - 1]?.stdout?.destroy()
    }
    const over = new AbortController()
    const watching = this.#watch(children, over.signal)
    let output = ''
    children.at(-1)?.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    try {
      await Promise.all(children.map(ended))
    } finally {
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
