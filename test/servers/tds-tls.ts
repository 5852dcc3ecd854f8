import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { createSecureContext, TLSSocket, type TlsOptions } from 'node:tls'

const PRELOGIN = 0x12
const RESPONSE = 0x04
const HEADER_BYTES = 8

/** One packet as both sides of TDS frame them: type, last-packet flag, length ([MS-TDS] 2.2.3.1). */
const packet = (type: number, payload: Buffer): Buffer => {
  const header = Buffer.from([type, 0x01, 0, 0, 0, 0, 1, 0])
  header.writeUInt16BE(payload.length + HEADER_BYTES, 2)
  return Buffer.concat([header, payload])
}

/** A PRELOGIN answer with a version and ENCRYPT_ON ([MS-TDS] 2.2.6.5). */
const ENCRYPTION_ON = Buffer.from([0x00, 0, 11, 0, 6, 0x01, 0, 17, 0, 1, 0xff, 16, 0, 4, 0x43, 0, 0, 0x01])

/**
 * The server's half of a TDS connection under TLS, whose handshake travels in packets of the type PRELOGIN: bytes in and out of the
 * TLS machine.
 */
class HandshakeStream extends Duplex {
  readonly #socket: Socket
  #framed = true
  #held = Buffer.alloc(0)

  constructor(socket: Socket) {
    super()
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('close', () => this.push(null))
  }

  #take(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk])
    while (this.#held.length > 0) {
      if (this.#held[0] !== PRELOGIN) {
        // The client has the server's last word of the handshake: from now on TLS records travel as they are.
        this.#framed = false
        this.push(this.#held)
        this.#held = Buffer.alloc(0)
        return
      }
      const length = this.#held.length < HEADER_BYTES ? Number.POSITIVE_INFINITY : this.#held.readUInt16BE(2)
      if (this.#held.length < length) return
      this.push(this.#held.subarray(HEADER_BYTES, length))
      this.#held = this.#held.subarray(length)
    }
  }

  override _read(): void {
    // Pushed as it comes in.
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(this.#framed ? packet(RESPONSE, chunk) : chunk, (error) => done(error ?? null))
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }
}

export interface TlsFront {
  readonly host: string
  readonly port: number
  /** Connections on which something was sent under TLS: a login. */
  readonly logins: () => number
  close(): Promise<void>
}

/**
 * Puts TLS in front of a server that speaks TDS without it: shows `cert`, and passes what it decrypts on to `target`, whose own
 * PRELOGIN it answers in the client's place. Listens on a free port of `host`.
 */
export async function startTlsFront(
  target: { readonly host: string; readonly port: number } | undefined,
  keyPair: { readonly cert: string; readonly key: string },
  host: string,
  versions: Pick<TlsOptions, 'minVersion' | 'maxVersion' | 'ciphers'> = { maxVersion: 'TLSv1.2' },
): Promise<TlsFront> {
  const sockets = new Set<Socket>()
  let logins = 0
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    socket.once('data', (prelogin: Buffer) => {
      socket.write(packet(RESPONSE, ENCRYPTION_ON))
      const stream = new HandshakeStream(socket)
      const tls = new TLSSocket(stream, {
        isServer: true,
        ...keyPair,
        secureContext: createSecureContext({ ...keyPair, ...versions }),
      })
      tls.on('error', () => socket.destroy())
      tls.once('data', (login: Buffer) => {
        logins += 1
        if (target === undefined) socket.destroy()
        else passOn(tls, target, prelogin, login, sockets)
      })
    })
  })
  server.listen(0, host)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server has no port.')
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  }
  return { host, port: address.port, logins: () => logins, close }
}

/** Asks the target's PRELOGIN without encryption, drops its answer, and joins both sides. */
function passOn(
  tls: TLSSocket,
  target: { readonly host: string; readonly port: number },
  prelogin: Buffer,
  login: Buffer,
  sockets: Set<Socket>,
): void {
  const upstream = connect(target)
  sockets.add(upstream)
  upstream.on('error', () => tls.destroy())
  upstream.on('close', () => tls.destroy())
  tls.on('close', () => upstream.destroy())
  upstream.write(withoutEncryption(prelogin))
  upstream.once('data', () => {
    upstream.write(login)
    tls.pipe(upstream)
    upstream.pipe(tls)
  })
}

/** The same PRELOGIN with ENCRYPT_NOT_SUP: the option 0x01 has one byte, at the offset that its entry gives. */
function withoutEncryption(prelogin: Buffer): Buffer {
  const changed = Buffer.from(prelogin)
  for (let at = HEADER_BYTES; changed[at] !== 0xff && at < changed.length; at += 5) {
    if (changed[at] === 0x01) changed[HEADER_BYTES + changed.readUInt16BE(at + 1)] = 0x02
  }
  return changed
}
