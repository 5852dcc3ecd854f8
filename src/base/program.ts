import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { codeOf, MigrateError, messageOf } from './errors.ts'

/** A program to run, and what becomes of its streams. */
export interface ProgramRun {
  /** Its path. */
  readonly program: string
  /** Seen by every account of this machine: never a secret. */
  readonly args: readonly string[]
  /** Added to the program's environment; `undefined` takes a variable out of it. Where secrets go, besides files. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** A file with secrets that the program reads: removed when the program has ended, also when this process didn't live to see it. */
  readonly secretFile?: string
  /** Where it runs; this process's own folder when absent. */
  readonly directory?: string
  readonly signal: AbortSignal
  /** How long it may take to end once it was asked to; 1 when absent. */
  readonly graceSeconds?: number
  /** Its standard input; empty when absent. */
  readonly input?: AsyncIterable<Buffer>
  /** Takes its standard output; without it, the last lines are kept. */
  readonly output?: (stream: Readable) => Promise<void>
  /** Each line of its standard error, and of a standard output that nobody takes, as it comes. */
  readonly line?: (text: string) => void
}

export interface ProgramEnd {
  readonly exit: number
  /** The last lines of standard output ('' when it was taken elsewhere) and standard error: bounded. */
  readonly stdout: string
  readonly stderr: string
}

const TAIL_LINES = 20
const LONGEST_LINE = 2000

/**
 * Runs "$@" and waits. The shell holds the reading end of a pipe (descriptor 3) whose other end is this process's: when that closes,
 * because the run is aborted or because this process died in whatever way, SIGKILL included, the whole process group is ended, with
 * SIGTERM at once and SIGKILL a second (MIGRATE_GRACE) later. (Shell Command Language, POSIX.1-2017, 2.9.3.1: a background command's input is
 * empty unless redirected.)
 */
const GUARD = `exec 5<&0 </dev/null
"$@" <&5 5<&- 3<&- &
child=$!
exec 5<&-
{ read -r line <&3; trap '' TERM; rm -f -- "$MIGRATE_SECRET_FILE"; kill -TERM 0; sleep "$MIGRATE_GRACE"; kill -KILL 0; } >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait "$child"
status=$?
kill "$watcher" 2>/dev/null
rm -f -- "$MIGRATE_SECRET_FILE"
exit "$status"`

/**
 * Runs a program to its end and returns how it ended. When the signal aborts, it and every process that it started are gone a second after
 * its time of grace, and the signal's reason is thrown. Throws `native-tool-not-started` when there is no shell to start it.
 */
export async function runProgram(run: ProgramRun): Promise<ProgramEnd> {
  run.signal.throwIfAborted()
  const child = spawn('/bin/sh', ['-c', GUARD, 'sh', run.program, ...run.args], {
    detached: true,
    stdio: [run.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...run.environment,
      MIGRATE_SECRET_FILE: run.secretFile ?? '',
      MIGRATE_GRACE: `${run.graceSeconds ?? 1}`,
    },
    ...(run.directory === undefined ? {} : { cwd: run.directory }),
  })
  const lifeline = child.stdio[3]
  const stop = (): void => {
    lifeline?.destroy()
  }
  // The shell closes its end when it ends: what comes of that is told by its exit.
  lifeline?.on('error', () => undefined)
  run.signal.addEventListener('abort', stop, { once: true })
  try {
    return await streamsOf(child, run, stop)
  } finally {
    run.signal.removeEventListener('abort', stop)
    stop()
  }
}

async function streamsOf(child: ChildProcess, run: ProgramRun, stop: () => void): Promise<ProgramEnd> {
  const stdout = new Tail(run.line)
  const stderr = new Tail(run.line)
  const stopping = async (work: Promise<void>): Promise<void> => {
    try {
      await work
    } catch (error) {
      stop()
      throw error
    }
  }
  const output = run.output ?? ((stream: Readable) => stdout.read(stream))
  const ends = await Promise.allSettled([
    exitOf(child, run.program),
    child.stdout === null ? undefined : stopping(output(child.stdout)),
    child.stderr === null ? undefined : stderr.read(child.stderr),
    run.input === undefined || child.stdin === null ? undefined : stopping(feed(run.input, child.stdin)),
  ])
  run.signal.throwIfAborted()
  for (const end of ends) if (end.status === 'rejected') throw end.reason
  const [exit] = ends
  return { exit: exit.status === 'fulfilled' ? exit.value : -1, stdout: stdout.text, stderr: stderr.text }
}

/** A program that ends before it took all of its input says why by its exit and its words, not by a broken pipe. */
async function feed(input: AsyncIterable<Buffer>, stdin: Writable): Promise<void> {
  try {
    await pipeline(Readable.from(input, { objectMode: false }), stdin)
  } catch (error) {
    if (!['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET'].includes(codeOf(error) ?? '')) throw error
  }
}

async function exitOf(child: ChildProcess, program: string): Promise<number> {
  try {
    // `close` comes once every holder of its streams has ended, the programs that it started included.
    const [code] = await once(child, 'close')
    return typeof code === 'number' ? code : 128
  } catch (error) {
    throw new MigrateError('native-tool-not-started', `${program} could not be started: ${messageOf(error)}.`, {
      cause: error,
      hint: 'It needs a shell (/bin/sh) on this machine. A database is copied without one by method: portable.',
    })
  }
}

/** The last lines of a stream. */
class Tail {
  readonly #lines: string[] = []
  readonly #line: ((text: string) => void) | undefined

  constructor(line?: (text: string) => void) {
    this.#line = line
  }

  get text(): string {
    return this.#lines.join('\n')
  }

  async read(stream: Readable): Promise<void> {
    for await (const text of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      const line = text.length > LONGEST_LINE ? `${text.slice(0, LONGEST_LINE)} …` : text
      this.#line?.(line)
      this.#lines.push(line)
      if (this.#lines.length > TAIL_LINES) this.#lines.shift()
    }
  }
}
