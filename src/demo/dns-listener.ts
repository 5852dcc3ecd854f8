import { createSocket, type Socket } from 'node:dgram'
import { createServer, type Server, type Socket as TcpSocket } from 'node:net'
import { type DecodedPacket, decode, encode, type Packet } from 'dns-packet'
import { codeOf } from '../base/errors.ts'

export type Transport = 'udp' | 'tcp'

/** What to send: a packet, raw bytes, or nothing at all (the question is dropped). */
export type DnsResponse = Packet | Buffer | undefined

export interface DnsListener {
  readonly address: string
  readonly port: number
  /** `127.0.20.1:5301`, as playbooks write it. */
  readonly endpoint: string
  close(): Promise<void>
}

const PORT_TRIES = 20
/** Without EDNS a UDP answer may have this many bytes (RFC 1035, 4.2.1). */
const UDP_LIMIT_BYTES = 512

/** Answers DNS questions over UDP and TCP on one free port of `address`. */
export async function listenDns(
  address: string,
  respond: (query: DecodedPacket, transport: Transport) => Promise<DnsResponse> | DnsResponse,
): Promise<DnsListener> {
  const sockets = new Set<TcpSocket>()
  const tcp = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // A client that hangs up half-way is no concern of the server.
    socket.on('error', () => socket.destroy())
    serveTcp(socket, (query) => respond(query, 'tcp'))
  })
  const { udp, port } = await bindBoth(address, tcp)
  udp.on('message', async (message, from) => {
    const query = decodeQuery(message)
    const response = query && (await respond(query, 'udp'))
    if (response !== undefined && !closed) udp.send(fitUdp(toBuffer(response), query), from.port, from.address)
  })
  let closed = false
  return {
    address,
    port,
    endpoint: `${address}:${port}`,
    close: async () => {
      if (closed) return
      closed = true
      for (const socket of sockets) socket.destroy()
      await Promise.all([
        new Promise<void>((resolve) => udp.close(() => resolve())),
        new Promise<void>((resolve) => tcp.close(() => resolve())),
      ])
    },
  }
}

/** UDP and TCP must share the port; the free one that TCP gets may be taken for UDP. */
async function bindBoth(address: string, tcp: Server): Promise<{ udp: Socket; port: number }> {
  for (let left = PORT_TRIES; ; left -= 1) {
    await listening(tcp, address)
    const bound = tcp.address()
    const port = bound !== null && typeof bound === 'object' ? bound.port : 0
    try {
      return { udp: await bindUdp(address, port), port }
    } catch (error) {
      await new Promise<void>((resolve) => tcp.close(() => resolve()))
      if (codeOf(error) !== 'EADDRINUSE' || left === 0) throw error
    }
  }
}

const listening = (server: Server, address: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, address, () => {
      server.off('error', reject)
      resolve()
    })
  })

const bindUdp = (address: string, port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    socket.once('error', reject)
    socket.bind(port, address, () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })

function serveTcp(socket: TcpSocket, respond: (query: DecodedPacket) => Promise<DnsResponse> | DnsResponse): void {
  let received = Buffer.alloc(0)
  socket.on('data', async (chunk) => {
    received = Buffer.concat([received, chunk])
    while (received.length >= 2 && received.length >= received.readUInt16BE() + 2) {
      const end = received.readUInt16BE() + 2
      const query = decodeQuery(received.subarray(2, end))
      received = received.subarray(end)
      const response = query && (await respond(query))
      if (response === undefined) continue
      const body = toBuffer(response)
      const length = Buffer.alloc(2)
      length.writeUInt16BE(body.length)
      if (!socket.destroyed) socket.write(Buffer.concat([length, body]))
    }
  })
}

function decodeQuery(message: Buffer): DecodedPacket | undefined {
  try {
    return decode(message)
  } catch {
    return undefined
  }
}

const toBuffer = (response: Packet | Buffer): Buffer => (Buffer.isBuffer(response) ? response : encode(response))

const TRUNCATED_BIT = 0x0200

/** An answer that UDP can't carry is sent empty and marked as truncated, so that the asker comes back over TCP. */
function fitUdp(message: Buffer, query: DecodedPacket | undefined): Buffer {
  if (message.length <= UDP_LIMIT_BYTES || query === undefined) return message
  const flags = message.readUInt16BE(2) & 0x7fff
  return encode({ type: 'response', id: query.id ?? 0, flags: flags | TRUNCATED_BIT, questions: query.questions ?? [] })
}
