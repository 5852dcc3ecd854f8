import { systemClock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { inTime } from '../../base/time-limit.ts'
import { type Command, startCommand } from './command.ts'
import type { Login } from './connection.ts'
import type { Lease, SftpPool } from './pool.ts'

/** A program that neither takes anything in nor answers for so long, while something is waited for, hangs; so does a host that begins none. */
const HANGS_MS = 30_000
/** What is given in one turn of the event loop is sent in pieces of about so many bytes: each packet is encrypted by itself. */
const PIECE = 64 * 1024

/** How a lane came to its end. */
export interface LaneEnd {
  /** False when it was told to end, or the connection broke: nothing is said against another one then. */
  readonly isRefused: boolean
  /** False when the host didn't say that it has: it may be at work still, or later. */
  readonly hasEnded: boolean
  /** What its programs said last. */
  readonly said: string
}

interface Sent {
  readonly bytes: number
  settle(isThere: boolean): void
}

/** One program at work on the host, which answers in the order in which it is given things. */
export abstract class ProgramLane {
  /** Never rejects. */
  readonly ended: Promise<LaneEnd>
  readonly #over = new AbortController()
  #command: Command | undefined
  readonly #sent: Sent[] = []
  #held: Buffer[] = []
  #heldBytes = 0
  #unansweredBytes = 0
  #moved = false
  #isEnding = false
  /** It is at work on something that may take longer than a program that hangs is waited for. */
  protected mayTakeLong = false
  readonly #stopped = new AbortController()
  #isOver = false

  constructor(pool: SftpPool, command: string) {
    this.ended = this.#run(pool, command).catch((): LaneEnd => ({ isRefused: false, hasEnded: false, said: '' }))
  }

  /** Nothing is heard of it any more. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Bytes that it was given and has not answered yet. */
  get unansweredBytes(): number {
    return this.#unansweredBytes
  }

  /** Takes in what the program says, and tells of each answer by `answered`. */
  protected abstract hear(bytes: Buffer): void

  protected answered(isThere: boolean): void {
    const first = this.#sent.shift()
    this.#unansweredBytes -= first?.bytes ?? 0
    first?.settle(isThere)
  }

  /** Resolves with the answer; false when none came. */
  protected give(...pieces: readonly Buffer[]): Promise<boolean> {
    if (this.#isOver || this.#isEnding) return Promise.resolve(false)
    let bytes = 0
    for (const piece of pieces) bytes += piece.length
    this.#unansweredBytes += bytes
    return new Promise((settle) => {
      this.#sent.push({ bytes, settle })
      if (this.#heldBytes === 0) setImmediate(() => this.#flush())
      this.#held.push(...pieces)
      this.#heldBytes += bytes
      if (this.#heldBytes >= PIECE) this.#flush()
    })
  }

  /** Nothing more comes. */
  end(): void {
    this.#isEnding = true
    // One that hasn't begun and is wanted by nobody isn't waited for.
    if (this.#command === undefined && this.#sent.length === 0) this.stop()
    this.#flush()
    this.#command?.channel.end()
  }

  /** Ends it at once: it isn't the program that was meant, or isn't wanted after all. */
  stop(): void {
    this.#stopped.abort(new Error('stopped'))
    this.#command?.channel.close()
  }

  #flush(): void {
    if (this.#command === undefined || this.#isOver || this.#heldBytes === 0) return
    const moved = (): void => {
      this.#moved = true
    }
    const [held, length] = [this.#held, this.#heldBytes]
    this.#held = []
    this.#heldBytes = 0
    this.#command.channel.write(held.length === 1 ? held[0] : Buffer.concat(held, length), moved)
  }

  async #run(pool: SftpPool, text: string): Promise<LaneEnd> {
    let lease: Lease<Login> | undefined
    try {
      lease = await pool.leaseForProgram()
      const { connection } = lease
      const isLost = async (): Promise<boolean> => {
        // What is said of the connection comes after what is said of the command.
        await new Promise((resolve) => setImmediate(resolve))
        return connection.isLost
      }
      const command = await this.#begun(connection, text)
      if (typeof command === 'string')
        return { isRefused: !this.#stopped.signal.aborted && !(await isLost()), hasEnded: false, said: command }
      this.#command = command
      this.#flush()
      // What it said first may have come with the word that it runs.
      if (this.#stopped.signal.aborted) command.channel.close()
      if (this.#isEnding) command.channel.end()
      void this.#watch().catch(() => undefined)
      const code = await Promise.race([command.ended, this.#unwanted()])
      return { isRefused: (code !== 0 || !this.#isEnding) && !(await isLost()), hasEnded: code !== null, said: command.said() }
    } finally {
      this.#isOver = true
      this.#over.abort()
      lease?.release()
      for (const { settle } of this.#sent.splice(0)) settle(false)
      this.#held = []
    }
  }

  /** The program at work, or why there is none. */
  async #begun(connection: Login, text: string): Promise<Command | string> {
    if (this.#stopped.signal.aborted) return 'stopped'
    const heard = (bytes: Buffer): void => {
      this.#moved = true
      this.hear(bytes)
    }
    const late = (): Error => new Error('the host did not say whether it begins a command')
    const beginning = startCommand(connection, text, heard)
    try {
      return await inTime({ clock: systemClock, signal: this.#stopped.signal, ms: HANGS_MS, late }, () => beginning)
    } catch (error) {
      // It may begin after all.
      beginning.then(
        ({ channel }) => channel.close(),
        () => undefined,
      )
      return messageOf(error)
    }
  }

  /**
   * Resolves when it is stopped: its end isn't waited for. A host may say that a program has ended only once it has (OpenSSH does, also of one
   * whose input has), and one that hangs may never; what it was given it might still be writing, under names of its own alone.
   */
  #unwanted(): Promise<null> {
    const { signal } = this.#stopped
    return new Promise((resolve) => {
      const stopped = (): void => resolve(null)
      if (signal.aborted) stopped()
      signal.addEventListener('abort', stopped, { once: true })
    })
  }

  async #watch(): Promise<void> {
    for (;;) {
      this.#moved = false
      await systemClock.sleep(HANGS_MS, this.#over.signal)
      if (!this.mayTakeLong && !this.#moved && (this.#sent.length > 0 || this.#isEnding)) return this.stop()
    }
  }
}
