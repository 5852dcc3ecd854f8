import { connect, createServer, type Socket } from 'node:net'
import type { Place } from './engine.ts'

/** A way to a database on which questions and bytes are counted. */
export interface Counter {
  readonly place: Place
  /** How often a client asked and the server answered, over all connections: logging in counts too. */
  readonly count: number
  /** What the server sent. */
  readonly bytes: number
  close(): Promise<void>
}

/** Passes everything on to `place`; whenever a client speaks after the server did, that is one more round trip. */
export async function startCounter(place: Place): Promise<Counter> {
  const sockets = new Set<Socket>()
  let count = 0
  let bytes = 0
  const server = createServer((client) => {
    const upstream = connect({ host: place.host, port: place.port, noDelay: true })
    client.setNoDelay(true)
    let isAsked = false
    client.on('data', () => {
      if (!isAsked) count += 1
      isAsked = true
    })
    upstream.on('data', (chunk: Buffer) => {
      isAsked = false
      bytes += chunk.length
    })
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The counter has no port.')
  return {
    place: { ...place, host: '127.0.0.1', port: address.port },
    get count() {
      return count
    },
    get bytes() {
      return bytes
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
