import { TLSSocket } from 'node:tls'
import { enterPassiveModeIPv4, enterPassiveModeIPv6, type FTPContext, FTPError, type FTPResponse } from 'basic-ftp'
import { systemClock } from '../../base/clock.ts'

/** So long is the server's own word on a broken data connection waited for, milliseconds. */
const LAST_WORD_MS = 2000

/** The answers of a server, as they come. */
export class Answers {
  #last = ''
  /** How many lines came so far. */
  count = 0
  #listeners: ((answer: string) => void)[] = []

  /** For the client's log, which has every line. */
  readonly log = (message: string): void => {
    if (!message.startsWith('< ')) return
    this.#last = message.slice(2)
    this.count += 1
    for (const listener of this.#listeners.splice(0)) listener(this.#last)
  }

  last(): string {
    return this.#last
  }

  /** The next answer; `undefined` when none comes soon. */
  async next(): Promise<string | undefined> {
    const enough = new AbortController()
    const answer = new Promise<string>((resolve) => this.#listeners.push(resolve))
    const late = systemClock.sleep(LAST_WORD_MS, enough.signal).then(() => undefined)
    try {
      return await Promise.race([answer, late])
    } finally {
      late.catch(() => undefined)
      enough.abort()
    }
  }
}

/**
 * Opens data connections in passive mode, as the server can (RFC 2428; RFC 959, section 4.1.2), and only to the host that one is
 * logged in on: another one could be made to be attacked from here.
 *
 * A data connection that breaks doesn't end the login at once, as it would by itself: many servers reset it when they refuse a transfer,
 * and say why only then.
 */
export function passiveMode(answers: Answers): (ftp: FTPContext) => Promise<FTPResponse> {
  let isOld = false
  return async (ftp) => {
    const response = isOld
      ? await enterPassiveModeIPv4(ftp)
      : await enterPassiveModeIPv6(ftp).catch(async (error: unknown) => {
          if (!(error instanceof FTPError)) throw error
          const old = await enterPassiveModeIPv4(ftp)
          isOld = true
          return old
        })
    const { dataSocket } = ftp
    if (dataSocket === undefined) return response
    if (dataSocket.remoteAddress !== ftp.socket.remoteAddress && dataSocket.remoteAddress !== undefined) {
      const other = dataSocket.remoteAddress
      ftp.dataSocket = undefined
      throw new Error(`it wants files to be exchanged with another host (${other}), which migrate doesn't do`)
    }
    for (const event of ['error', 'close'] as const) {
      const [own] = dataSocket.listeners(event).slice(-1)
      if (own !== undefined) dataSocket.removeListener(event, own as () => void)
    }
    if (dataSocket instanceof TLSSocket) handshakes.set(dataSocket, handshake(dataSocket))
    dataSocket.once('error', (error) => void endUnlessTold(ftp, dataSocket, error, answers))
    return response
  }
}

const handshakes = new WeakMap<object, Promise<void>>()

const handshake = (socket: TLSSocket): Promise<void> =>
  new Promise((resolve) => {
    // One that fails ends the transfer by itself.
    for (const event of ['secureConnect', 'close'] as const) socket.once(event, () => resolve())
  })

/** Resolves when the data connection that stands is encrypted, or has no need to be: a file must not end before it has begun. */
export async function secured(ftp: FTPContext): Promise<void> {
  if (ftp.dataSocket !== undefined) await handshakes.get(ftp.dataSocket)
}

async function endUnlessTold(ftp: FTPContext, socket: FTPContext['dataSocket'], error: Error, answers: Answers): Promise<void> {
  await answers.next()
  // An answer has ended the transfer, and this connection with it.
  if (ftp.dataSocket === socket) ftp.closeWithError(error)
}
