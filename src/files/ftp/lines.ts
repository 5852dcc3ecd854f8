import { Writable } from 'node:stream'
import type { Client, FTPResponse } from 'basic-ftp'
import { ListingError } from './listing.ts'
import { WIRE } from './wire.ts'

/** Longer than any line of a listing is. */
const LONGEST_LINE = 64 * 1024

/** A server reads and sorts all of a large folder before it says anything: it is waited for so many times as long as for anything else. */
const PATIENCE = 4
/** And for so many lines that are expected, once more. */
const LINES_A_TIME = 50_000

/** How a listing ended. */
export interface ListingEnd {
  /** The server's last word. */
  readonly answer: FTPResponse
  /** The last line came whole. */
  readonly isWhole: boolean
}

/**
 * Has the server list by a command (`MLSD`, `LIST`), and gives each line that isn't empty to `take` when it has come. basic-ftp's own way
 * holds the whole answer, several times over; this is its way of fetching a file, which asks for something else instead. What `take` throws
 * is thrown when the listing has ended: the connection can be used then. `expected`: lines that are likely to come.
 */
export async function eachLine(client: Client, command: string, take: (line: string) => void, expected = 0): Promise<ListingEnd> {
  const { ftp } = client
  const { send, timeout } = ftp
  const lines = new Lines(take)
  ftp.send = (line) => {
    if (line !== `RETR ${STAND_IN}`) return Reflect.apply(send, ftp, [line])
    const patience = (PATIENCE + Math.floor(expected / LINES_A_TIME)) * timeout
    // Of the first answer; and, asked for when that has come, of the data connection.
    ftp.socket.setTimeout(patience)
    Reflect.set(ftp, 'timeout', patience)
    return Reflect.apply(send, ftp, [command])
  }
  try {
    const answer = await client.downloadTo(lines, STAND_IN)
    if (lines.failure !== undefined) throw lines.failure.error
    return { answer, isWhole: lines.isWhole }
  } finally {
    ftp.send = send
    Reflect.set(ftp, 'timeout', timeout)
  }
}

const STAND_IN = 'listing'

class Lines extends Writable {
  failure: { readonly error: unknown } | undefined
  readonly #take: (line: string) => void
  #rest = ''

  constructor(take: (line: string) => void) {
    super()
    this.#take = take
  }

  get isWhole(): boolean {
    return this.#rest === ''
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.failure === undefined) this.#takeAll(chunk.toString(WIRE))
    done()
  }

  #takeAll(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    try {
      for (const line of lines) {
        const plain = line.endsWith('\r') ? line.slice(0, -1) : line
        if (plain !== '') this.#take(plain)
      }
      if (this.#rest.length > LONGEST_LINE) throw new ListingError(this.#rest)
    } catch (error) {
      this.failure = { error }
    }
  }
}
