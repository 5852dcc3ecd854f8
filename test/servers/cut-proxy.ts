import { connect, createServer, type Server, type Socket } from 'node:net'

/** A TCP proxy that can cut its connections in the middle. */
export interface CutProxy {
  readonly host: string
  readonly port: number
  /** After so many more bytes, in either direction, every connection is reset, and new ones are refused until `mend`. */
  cut(afterBytes: number): void
  mend(): void
  close(): Promise<void>
}

/** Listens on a free port of `listen` (a loopback address) and passes everything on to `target`. */
export async function startCutProxy(
  target: { readonly host: string; readonly port: number },
  listen = '127.0.0.1',
): Promise<CutProxy> {
  const sockets = new Set<Socket>()
  let left = Number.POSITIVE_INFINITY
  const reset = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
    sockets.clear()
  }
  const spend = (bytes: number): boolean => {
    left -= bytes
    if (left > 0) return true
    reset()
    return false
  }
  const pass = (from: Socket, to: Socket): void => {
    from.on('data', (chunk) => {
      if (!spend(chunk.length) || to.destroyed) return
      if (!to.write(chunk)) from.pause()
    })
    to.on('drain', () => from.resume())
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
    const upstream = connect(target)
    sockets.add(client).add(upstream)
    pass(client, upstream)
    pass(upstream, client)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, listen, resolve))
  return {
    host: listen,
    port: portOf(server),
    cut: (afterBytes) => {
      left = afterBytes
      if (left <= 0) reset()
    },
    mend: () => {
      left = Number.POSITIVE_INFINITY
    },
    close: async () => {
      reset()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The proxy has no port.')
  return address.port
}
