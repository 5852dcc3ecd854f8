import { connect, createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { BULK_LOAD } from '../../servers/tds-messages.ts'

export interface BcpRelay {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

const HEADER_BYTES = 8
const END_OF_MESSAGE = 1
/** A packet that ends a message with a DONE token: its status, command and count of rows are 0, in TDS 7.2 and later ([MS-TDS] 2.2.7.6). */
const DONE = Buffer.from([BULK_LOAD, END_OF_MESSAGE, 0, 21, 0, 0, 0, 0, 0xfd, ...new Array<number>(12).fill(0)])

/**
 * Stands between freebcp and a server that waits for the DONE token which ends bulk rows ([MS-TDS] 2.2.6.1): FreeTDS, up to 1.5 at least, sends
 * none, SQL Server doesn't miss it, and Babelfish takes no row without. All else passes as it is. Not for encrypted connections.
 */
export async function startBcpRelay(target: { readonly host: string; readonly port: number }): Promise<BcpRelay> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ ...target, noDelay: true })
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.end()
      })
    }
    client.pipe(rowsEnded()).pipe(upstream)
    upstream.pipe(client)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The relay has no port.')
  return {
    host: '127.0.0.1',
    port: address.port,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** Packets as they come; the last one of bulk rows no longer ends them, and one with a DONE token does. */
function rowsEnded(): Transform {
  let rest: Buffer = Buffer.alloc(0)
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      let at = 0
      while (bytes.length - at >= HEADER_BYTES && bytes.length - at >= bytes.readUInt16BE(at + 2)) {
        const packet = bytes.subarray(at, at + bytes.readUInt16BE(at + 2))
        at += packet.length
        const ends = packet[0] === BULK_LOAD && ((packet[1] ?? 0) & END_OF_MESSAGE) !== 0
        if (ends) packet[1] = (packet[1] ?? 0) & ~END_OF_MESSAGE
        this.push(packet)
        if (ends) this.push(DONE)
      }
      rest = bytes.subarray(at)
      done()
    },
  })
}
