import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { codeOf, MigrateError, messageOf } from '../base/errors.ts'
import type { StepRun } from '../run/step.ts'

/** How long a command may take to end after it was asked to. */
const GRACE_MS = 5000

export interface CommandResult {
  readonly exit: number
  /** The last lines of what it wrote, oldest first. */
  readonly tail: readonly string[]
}

const TAIL_LINES = 10

/**
 * Runs a command with `sh -c` in `directory`, giving each line that it writes to `line`. Its whole process group is ended when
 * the run's signal aborts: SIGTERM, and SIGKILL after 5 s. Throws the signal's reason then.
 */
export async function runLocally(
  command: string,
  directory: string,
  run: StepRun,
  line: (text: string) => void,
): Promise<CommandResult> {
  run.signal.throwIfAborted()
  const child = spawn('sh', ['-c', command], {
    cwd: directory,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, MIGRATE_RUN: run.id, MIGRATE_STATE: run.directory },
  })
  const tail: string[] = []
  const take = (text: string): void => {
    line(text)
    tail.push(text)
    if (tail.length > TAIL_LINES) tail.shift()
  }
  const ended = new AbortController()
  const onAbort = (): void => void endGroup(child, run, ended.signal)
  run.signal.addEventListener('abort', onAbort, { once: true, signal: ended.signal })
  try {
    const [exit] = await Promise.all([exitOf(child, command), linesOf(child.stdout, take), linesOf(child.stderr, take)])
    run.signal.throwIfAborted()
    return { exit, tail }
  } finally {
    ended.abort()
  }
}

function exitOf(child: ChildProcess, command: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(
        new MigrateError('command-not-started', `The command "${command}" could not be started: ${messageOf(error)}.`, {
          cause: error,
          hint: 'Is there a shell (sh) on this machine?',
        }),
      ),
    )
    // As a shell tells it: 128 and the signal's number stand for an end by a signal.
    child.once('exit', (code) => resolve(code ?? 128))
  })
}

async function linesOf(stream: Readable | null, take: (text: string) => void): Promise<void> {
  if (stream === null) return
  for await (const text of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) take(text)
}

async function endGroup(child: ChildProcess, run: StepRun, ended: AbortSignal): Promise<void> {
  signalGroup(child, 'SIGTERM')
  try {
    await run.clock.sleep(GRACE_MS, ended)
  } catch (error) {
    if (ended.aborted) return
    throw error
  }
  signalGroup(child, 'SIGKILL')
}

function signalGroup(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    // It has ended by itself.
    if (codeOf(error) !== 'ESRCH') throw error
  }
}
