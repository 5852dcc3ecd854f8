import { connect, createServer, type Socket } from 'node:net'

/** What a DNS message asks for: opcode 5 is an update (RFC 2136, 1.3). */
export const isUpdate = (request: Buffer): boolean => (((request[2] ?? 0) >> 3) & 0xf) === 5

export interface DnsProxyPlay {
  /** Before the request is passed on; `cut` closes the connection instead. */
  readonly request?: (request: Buffer) => Promise<'cut' | 'pass'> | 'cut' | 'pass'
  /** What the client gets instead of the server's answer; `cut` closes the connection. */
  readonly answer?: (answer: Buffer, request: Buffer) => Buffer | 'cut'
}

export interface DnsProxy {
  readonly port: number
  /** Every request that came, oldest first. */
  readonly requests: readonly Buffer[]
  close(): Promise<void>
}

/** Stands between a client and a name server over TCP and passes on one message a connection, unless it is told to play. */
export async function startDnsProxy(
  target: { readonly address: string; readonly port: number },
  play: DnsProxyPlay,
): Promise<DnsProxy> {
  const requests: Buffer[] = []
  const server = createServer((client) => {
    client.on('error', () => client.destroy())
    serve(client, target, play, requests).catch(() => client.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('no port')
  return { port: bound.port, requests, close: () => new Promise((resolve) => server.close(() => resolve())) }
}

async function serve(
  client: Socket,
  target: { readonly address: string; readonly port: number },
  play: DnsProxyPlay,
  requests: Buffer[],
): Promise<void> {
  const request = await readMessage(client)
  requests.push(request)
  if ((await play.request?.(request)) === 'cut') return void client.destroy()
  const upstream = connect({ host: target.address, port: target.port })
  // A server that is away closes; whoever waits for its message hears of that.
  upstream.on('error', () => upstream.destroy())
  upstream.write(framed(request))
  const answer = await readMessage(upstream)
  upstream.destroy()
  const given = play.answer?.(answer, request) ?? answer
  if (given === 'cut') client.destroy()
  else client.end(framed(given))
}

async function readMessage(socket: Socket): Promise<Buffer> {
  let received = Buffer.alloc(0)
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, Buffer.from(chunk)])
    if (received.length > 2 && received.length >= received.readUInt16BE() + 2)
      resolve(received.subarray(2, received.readUInt16BE() + 2))
  })
  socket.once('close', () => reject(new Error('closed before a whole message came')))
  return await promise
}

function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}
