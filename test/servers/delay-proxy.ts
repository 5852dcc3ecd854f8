import { connect, createServer, type Socket } from 'node:net'
import type { ProxyTarget } from './fault-proxy.ts'

export interface DelayProxy {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/** On its way in one direction at most, bytes: more than any of the tools sends ahead. Then the sender is held back. */
const MOST_ON_THE_WAY = 64 * 2 ** 20

/** A host's line in one direction, which all connections to it share. */
class Line {
  readonly #bytesPerMs: number
  #freeAt = 0
  /** On its way at most of one connection, bytes: a narrow line hasn't room for more. */
  readonly most: number

  /** `mbit`: megabits a second; any number of them when it is null. */
  constructor(mbit: number | null) {
    this.#bytesPerMs = mbit === null ? Number.POSITIVE_INFINITY : mbit * 125
    this.most = Math.min(MOST_ON_THE_WAY, 256 * 1024 + this.#bytesPerMs * 250)
  }

  /** When so many bytes that are sent now have left. */
  passes(bytes: number): number {
    this.#freeAt = Math.max(performance.now(), this.#freeAt) + bytes / this.#bytesPerMs
    return this.#freeAt
  }
}

/**
 * A TCP proxy that makes the way longer: what comes in on either side goes out on the other half of `roundTripMs` later, in order. The rate
 * is what `mbit` says of each direction, for all connections together, and isn't limited when it is null; a receiver that doesn't read holds
 * its sender back. `port`: any that is free when it is 0.
 */
export async function startDelayProxy(
  target: ProxyTarget,
  { roundTripMs, mbit = null }: { readonly roundTripMs: number; readonly mbit?: number | null },
  listen = '127.0.0.1',
  port = 0,
): Promise<DelayProxy> {
  const [up, down] = [new Line(mbit), new Line(mbit)]
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const upstream = connect({ host: target.host, port: target.port, noDelay: true, allowHalfOpen: true })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    }
    pass(client, upstream, roundTripMs / 2, up)
    pass(upstream, client, roundTripMs / 2, down)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, listen, resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port.')
  return {
    host: listen,
    port: address.port,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** `null`: the sender has ended. */
interface OnTheWay {
  readonly due: number
  readonly bytes: Buffer | null
}

function pass(from: Socket, to: Socket, delayMs: number, line: Line): void {
  const queue: OnTheWay[] = []
  let held = 0
  let timer: NodeJS.Timeout | undefined
  let isBlocked = false
  const deliver = (): void => {
    timer = undefined
    for (let first = queue[0]; first !== undefined && !isBlocked; first = queue[0]) {
      const wait = first.due - performance.now()
      if (wait > 0.2) {
        timer = setTimeout(deliver, wait)
        return
      }
      queue.shift()
      if (first.bytes === null) to.end()
      else {
        held -= first.bytes.length
        isBlocked = !to.write(first.bytes)
      }
      if (held < line.most / 2 && from.isPaused()) from.resume()
    }
  }
  const send = (bytes: Buffer | null): void => {
    queue.push({ due: line.passes(bytes?.length ?? 0) + delayMs, bytes })
    if (timer === undefined && !isBlocked) deliver()
  }
  from.on('data', (bytes) => {
    held += bytes.length
    if (held > line.most) from.pause()
    send(bytes)
  })
  to.on('drain', () => {
    isBlocked = false
    if (timer === undefined) deliver()
  })
  from.on('end', () => send(null))
  from.on('error', () => to.destroy())
  from.on('close', () => {
    if (!from.readableEnded) to.destroy()
  })
}
