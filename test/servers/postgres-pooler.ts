import { createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import pg from 'pg'

/** A pooler as PgBouncer is: it lets everybody in, and hands the server's sessions on. */
export interface TestPooler {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

const HEADER_BYTES = 5
const SSL_REQUEST = 80_877_103
const READY = 0x5a
const IDLE = 0x49
/** What a client says when it goes: nothing to the server, whose session stays. */
const TERMINATE = 0x58

const message = (type: string, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(HEADER_BYTES)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** What it tells at a login: a process number of its own ("Message Formats", BackendKeyData), and that it is ready. */
const WELCOME = Buffer.concat([message('R', int32(0)), message('K', int32(7), int32(7)), message('Z', Buffer.from([IDLE]))])

/** One session of the server's: whoever's turn it is, until a transaction ends. */
class Backend {
  readonly stream: Duplex
  #holder: Socket | undefined
  #waiting: (() => void)[] = []
  #rest = Buffer.alloc(0)

  constructor(client: pg.Client) {
    this.stream = (Reflect.get(client, 'connection') as { stream: Duplex }).stream
    // The driver has logged in, and is needed no more.
    this.stream.removeAllListeners()
    this.stream.on('error', () => this.stream.destroy())
    this.stream.on('data', (chunk: Buffer) => this.#answer(chunk))
  }

  async send(from: Socket, bytes: Buffer): Promise<void> {
    while (this.#holder !== undefined && this.#holder !== from) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#holder = from
    this.stream.write(bytes)
  }

  #answer(chunk: Buffer): void {
    this.#holder?.write(chunk)
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= HEADER_BYTES && this.#rest.length > this.#rest.readInt32BE(1)) {
      const end = 1 + this.#rest.readInt32BE(1)
      if (this.#rest[0] === READY && this.#rest[HEADER_BYTES] === IDLE) this.#free()
      this.#rest = this.#rest.subarray(end)
    }
  }

  #free(): void {
    this.#holder = undefined
    for (const wake of this.#waiting.splice(0)) wake()
  }
}

/** `mode`: all clients share one session of the server's, each for a transaction, or each has one of its own. */
export async function startPooler(url: string, mode: 'transaction' | 'session'): Promise<TestPooler> {
  const backends: Backend[] = []
  const sockets = new Set<Socket>()
  const connected = async (): Promise<Backend> => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    const backend = new Backend(client)
    backends.push(backend)
    return backend
  }
  const shared = await connected()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    let backend: Promise<Backend> | undefined
    let line = Promise.resolve()
    socket.on('data', (bytes) => {
      if (backend !== undefined) {
        if (bytes[0] === TERMINATE) return void socket.end()
        const own = backend
        line = line.then(async () => (await own).send(socket, bytes))
      } else if (bytes.readInt32BE(4) === SSL_REQUEST) socket.write('N')
      else {
        backend = mode === 'transaction' ? Promise.resolve(shared) : connected()
        line = backend.then(() => void socket.write(WELCOME))
      }
    })
  })
  const host = new URL(url).hostname
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The pooler has no port.')
  return {
    host,
    port: address.port,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      for (const backend of backends) backend.stream.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
