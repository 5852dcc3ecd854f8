import { connect, createServer, type Server, type Socket } from 'node:net'

export interface ProxyTarget {
  readonly host: string
  readonly port: number
}

/** A TCP proxy that can cut its connections in the middle. */
export interface CutProxy {
  readonly host: string
  readonly port: number
  /** After so many more bytes, in either direction, every connection is reset, and new ones are refused until `mend`. */
  cut(afterBytes: number): void
  mend(): void
  /** After so many more bytes nothing passes any more, and nobody is told, until `mend`. Resolves when it is so. */
  freeze(afterBytes: number): Promise<void>
  /** New connections go there from now on. */
  lead(target: ProxyTarget): void
  /** Nobody listens any more, as on a host that is switched off; `up` listens again, on the same port. */
  down(): Promise<void>
  up(): Promise<void>
  close(): Promise<void>
}

/** Listens on a free port of `listen` (a loopback address) and passes everything on to `target`. */
export async function startCutProxy(target: ProxyTarget, listen = '127.0.0.1'): Promise<CutProxy> {
  const sockets = new Set<Socket>()
  let left = Number.POSITIVE_INFINITY
  let leadsTo = target
  let froze: (() => void) | undefined
  let isFrozen = false
  const reset = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
    sockets.clear()
  }
  const spend = (bytes: number): boolean => {
    left -= bytes
    if (left > 0) return true
    if (froze !== undefined) {
      isFrozen = true
      left = Number.POSITIVE_INFINITY
      for (const socket of sockets) socket.pause()
      froze()
      return true
    }
    reset()
    return false
  }
  const pass = (from: Socket, to: Socket): void => {
    from.on('data', (chunk) => {
      if (!spend(chunk.length) || to.destroyed) return
      if (!to.write(chunk)) from.pause()
    })
    to.on('drain', () => isFrozen || from.resume())
    from.on('end', () => to.end())
    from.on('close', () => {
      sockets.delete(from)
      to.destroy()
    })
    // What breaks on one side shows on the other as a closed connection.
    from.on('error', () => to.destroy())
  }
  const server = createServer((client) => {
    if (left <= 0) {
      client.on('error', () => client.destroy())
      client.resetAndDestroy()
      return
    }
    const upstream = connect({ host: leadsTo.host, port: leadsTo.port })
    sockets.add(client).add(upstream)
    pass(client, upstream)
    pass(upstream, client)
    if (isFrozen) for (const socket of [client, upstream]) socket.pause()
  })
  const open = (at: number): Promise<void> =>
    new Promise((resolve, reject) => server.once('error', reject).listen(at, listen, resolve))
  const shut = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    reset()
    await closed
  }
  await open(0)
  const port = portOf(server)
  return {
    host: listen,
    port,
    cut: (afterBytes) => {
      left = afterBytes
      if (left <= 0) reset()
    },
    mend: () => {
      left = Number.POSITIVE_INFINITY
      isFrozen = false
      froze = undefined
      for (const socket of sockets) socket.resume()
    },
    freeze: (afterBytes) =>
      new Promise((resolve) => {
        froze = resolve
        left = afterBytes
      }),
    lead: (to) => {
      leadsTo = to
    },
    down: shut,
    up: () => open(port),
    close: shut,
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port.')
  return address.port
}
