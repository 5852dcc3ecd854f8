import { systemClock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { type Command, shellWord, startCommand } from './command.ts'
import type { Lease, SftpPool } from './pool.ts'

/** A shell that neither takes anything in nor answers for so long, while something is waited for, hangs. */
const HANGS_MS = 30_000

/**
 * Unpacks one archive after the other, each into a new folder that nobody else may look into: its `mkdir` fails where anything stands under
 * that name. One shell for all of them: to start one may take a third of a second on a host whose account loads a lot when it logs in. The files
 * have numbers for names, so nothing on the way can be a link, and the names of the site are never read by a shell. Says a folder's name
 * when all is there, and ends when something went wrong: what comes after it would be taken for something else.
 */
const script = (root: string): string =>
  [
    `cd -- ${shellWord(root)} && while read -r d n`,
    'do mkdir -m 700 "$d" && head -c "$n" | LC_ALL=C tar --extract --file=- --directory="$d" --same-permissions --no-same-owner && echo "$d" || exit 1',
    'done',
  ].join('; ')

/** How a lane came to its end. */
export interface LaneEnd {
  /** False when it was told to end, or the connection broke: nothing is said against another one then. */
  readonly isRefused: boolean
  /** What its programs said last. */
  readonly said: string
}

interface Sent {
  readonly folder: string
  readonly bytes: number
  settle(isThere: boolean): void
}

/** One shell at work on the host. */
export class TarLane {
  /** Never rejects. */
  readonly ended: Promise<LaneEnd>
  readonly #over = new AbortController()
  #command: Command | undefined
  #sent: Sent[] = []
  #held: Buffer[] = []
  #unansweredBytes = 0
  #heard = ''
  #moved = false
  #isEnding = false
  #isOver = false

  /** `root`: absolute, on the host. */
  constructor(pool: SftpPool, root: string) {
    this.ended = this.#run(pool, root).catch((): LaneEnd => ({ isRefused: false, said: '' }))
  }

  /** Bytes that it was given and has not answered yet. */
  get unansweredBytes(): number {
    return this.#unansweredBytes
  }

  /** Unpacks an archive, whole as given, into a new folder of the root; resolves with whether all of it is there. */
  unpack(folder: string, archive: readonly Buffer[]): Promise<boolean> {
    if (this.#isOver || this.#isEnding) return Promise.resolve(false)
    const bytes = archive.reduce((sum, piece) => sum + piece.length, 0)
    this.#unansweredBytes += bytes
    return new Promise((settle) => {
      this.#sent.push({ folder, bytes, settle })
      this.#held.push(Buffer.from(`${folder} ${bytes}\n`), ...archive)
      this.#flush()
    })
  }

  /** Nothing more comes. */
  end(): void {
    this.#isEnding = true
    this.#flush()
    this.#command?.channel.end()
  }

  async #run(pool: SftpPool, root: string): Promise<LaneEnd> {
    let lease: Lease | undefined
    try {
      lease = await pool.leaseForCommand()
      const { connection } = lease
      const isLost = async (): Promise<boolean> => {
        // What is said of the connection comes after what is said of the command.
        await new Promise((resolve) => setImmediate(resolve))
        return connection.channel.isLost
      }
      const started = await startCommand(connection, `exec sh -c ${shellWord(script(root))}`, (bytes) => this.#hear(bytes)).catch(
        (error: unknown) => messageOf(error),
      )
      if (typeof started === 'string') return { isRefused: !(await isLost()), said: started }
      const command = started
      this.#command = command
      this.#flush()
      if (this.#isEnding) command.channel.end()
      void this.#watch(command).catch(() => undefined)
      const code = await command.ended
      return { isRefused: (code !== 0 || !this.#isEnding) && !(await isLost()), said: command.said() }
    } finally {
      this.#isOver = true
      this.#over.abort()
      lease?.release()
      for (const { settle } of this.#sent.splice(0)) settle(false)
      this.#held = []
    }
  }

  #flush(): void {
    if (this.#command === undefined || this.#isOver) return
    const moved = (): void => {
      this.#moved = true
    }
    for (const piece of this.#held.splice(0)) this.#command.channel.write(piece, moved)
  }

  #hear(bytes: Buffer): void {
    this.#moved = true
    const lines = (this.#heard + bytes.toString('latin1')).split('\n')
    this.#heard = lines.pop() ?? ''
    for (const line of lines) {
      const first = this.#sent.shift()
      this.#unansweredBytes -= first?.bytes ?? 0
      first?.settle(first.folder === line)
    }
  }

  async #watch({ channel }: Command): Promise<void> {
    for (;;) {
      this.#moved = false
      await systemClock.sleep(HANGS_MS, this.#over.signal)
      if (!this.#moved && (this.#sent.length > 0 || this.#isEnding)) return void channel.close()
    }
  }
}
