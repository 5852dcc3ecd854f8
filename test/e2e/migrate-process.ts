import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { builtEnvironment, builtProgram } from '../built-program.ts'

/** A line of `--json`, read as a script would. */
export type WireEvent = {
  readonly time: string
  readonly run: string
  readonly step: string | null
  readonly event: string
} & Readonly<Record<string, unknown>>

export interface MigrateRun {
  readonly events: readonly WireEvent[]
  /** `null` when it was killed. */
  readonly exit: number | null
  readonly stderr: string
  readonly stdout: string
}

export interface MigrateProcess {
  readonly pid: number
  /** Resolves with the first event that `wanted` accepts, past ones included; rejects when the process ends without one. */
  until(wanted: (event: WireEvent) => boolean): Promise<WireEvent>
  readonly ended: Promise<MigrateRun>
  kill(signal: NodeJS.Signals): void
}

const alive = new Set<ChildProcess>()

/** Ends what a failed test left running. */
export function killAll(): void {
  for (const child of alive) child.kill('SIGKILL')
}

/** The real command as a process of its own, with `--json`; every line on its stdout must be an event. */
export function startMigrate(args: readonly string[], env: Readonly<Record<string, string>>): MigrateProcess {
  const child = spawn(process.execPath, [builtProgram(), ...args, '--json'], {
    env: { ...builtEnvironment(), NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  alive.add(child)
  child.once('close', () => alive.delete(child))
  const events: WireEvent[] = []
  const waiting = new Set<() => void>()
  let stderr = ''
  let stdout = ''
  let over = false
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const lines = createInterface({ input: child.stdout })
  const readAll = (async () => {
    for await (const line of lines) {
      stdout += `${line}\n`
      events.push(JSON.parse(line))
      for (const wake of waiting) wake()
    }
  })()
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve)).then(async (exit) => {
    // A killed process may leave half a line behind.
    await readAll.catch((error: unknown) => {
      if (exit !== null) throw error
    })
    over = true
    for (const wake of waiting) wake()
    return { events, exit, stderr, stdout }
  })
  return {
    pid: child.pid ?? 0,
    ended,
    kill: (signal) => child.kill(signal),
    until: (wanted) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = events.find(wanted)
          if (found === undefined && !over) return
          waiting.delete(look)
          if (found !== undefined) resolve(found)
          else reject(new Error(`migrate ended first.\n${stdout.split('\n').slice(-15).join('\n')}\n${stderr}`))
        }
        waiting.add(look)
        look()
      }),
  }
}

/** For a failed expectation: what failed first of all, then the last things that the run said. */
export function story(run: MigrateRun): string {
  const failures = run.events
    .filter(({ event, severity }) => event === 'failed' || severity === 'error')
    .map((event) => JSON.stringify(event))
  return [`exit ${run.exit}`, ...failures, run.stderr, ...run.stdout.split('\n').slice(-25)].join('\n')
}
