import { connect, createServer, type Server, type Socket } from 'node:net'
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises'

export interface ProxyTarget {
  readonly host: string
  readonly port: number
}

/** A TCP proxy that does to its connections what networks do. Places are counted in bytes from the call on, so that a test can repeat them. */
export interface FaultProxy {
  readonly host: string
  readonly port: number
  /** After so many more bytes, in either direction, every connection is reset, and new ones are refused until `mend`. */
  cut(afterBytes: number): void
  /** Takes back `cut`, `freeze`, `shred` and `corrupt`. */
  mend(): void
  /** After so many more bytes nothing passes any more, and nobody is told, until `mend`. Resolves when it is so. */
  freeze(afterBytes: number): Promise<void>
  /** Everything comes in pieces of odd lengths, some of them late; the same ones for the same seed and traffic. */
  shred(seed: number): void
  /** A bit of the byte at this place of what goes `up` to the server or `down` from it is turned over; of FTP's data connections alone. */
  corrupt(atByte: number, direction: Direction): void
  /** Bits turned over so far. */
  readonly corrupted: number
  /** New connections go there from now on. */
  lead(target: ProxyTarget): void
  /** Nobody listens any more, as on a host that is switched off; `up` listens again, on the same port. */
  down(): Promise<void>
  up(): Promise<void>
  close(): Promise<void>
}

type Direction = 'up' | 'down'

const [CR, LF] = [13, 10]
/** `control`: an FTP server's answers, in which the port of a data connection is exchanged for one of the proxy's own. */
type Kind = 'any' | 'control' | 'data'

interface Settings {
  /** A loopback address. */
  readonly listen?: string
  /** FTP in the clear: its data connections come through the proxy too. */
  readonly ftp?: boolean
  /** FTP encrypted: the same ports, on the proxy's own address, lead to the server's data connections. */
  readonly passivePorts?: readonly number[]
}

/** Listens on a free port and passes everything on to `target`. */
export async function startFaultProxy(target: ProxyTarget, settings: Settings = {}): Promise<FaultProxy> {
  const proxy = new Line(target, settings.listen ?? '127.0.0.1', settings.ftp === true)
  await proxy.open(0, settings.passivePorts ?? [])
  return proxy
}

class Line implements FaultProxy {
  readonly host: string
  port = 0
  corrupted = 0
  #target: ProxyTarget
  readonly #isFtp: boolean
  readonly #sockets = new Set<Socket>()
  readonly #servers = new Set<Server>()
  #left = Number.POSITIVE_INFINITY
  #froze: (() => void) | undefined
  #thaw: (() => void) | undefined
  #frozen: Promise<void> | undefined
  #random: (() => number) | undefined
  #flip: { left: number; readonly direction: Direction } | undefined

  constructor(target: ProxyTarget, host: string, isFtp: boolean) {
    this.#target = target
    this.host = host
    this.#isFtp = isFtp
    // Handed on by themselves, too.
    for (const name of ['cut', 'mend', 'freeze', 'shred', 'corrupt', 'lead', 'down', 'up', 'close'] as const)
      Object.defineProperty(this, name, { value: this[name].bind(this) })
  }

  async open(port: number, passivePorts: readonly number[]): Promise<void> {
    const kind = this.#isFtp ? 'control' : 'any'
    this.port = await this.#listen(port, () => ({ ...this.#target, kind }))
    for (const each of passivePorts) await this.#listen(each, () => ({ host: this.#target.host, port: each, kind: 'data' }))
  }

  cut(afterBytes: number): void {
    this.#left = afterBytes
    if (afterBytes <= 0) this.#reset()
  }

  mend(): void {
    this.#left = Number.POSITIVE_INFINITY
    this.#froze = undefined
    this.#frozen = undefined
    this.#random = undefined
    this.#flip = undefined
    this.#thaw?.()
  }

  freeze(afterBytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.#froze = resolve
      this.#left = afterBytes
    })
  }

  shred(seed: number): void {
    this.#random = randomFrom(seed)
  }

  corrupt(atByte: number, direction: Direction): void {
    this.#flip = { left: atByte, direction }
  }

  lead(target: ProxyTarget): void {
    this.#target = target
  }

  async down(): Promise<void> {
    const closed = [...this.#servers].map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
    this.#servers.clear()
    this.#reset()
    await Promise.all(closed)
  }

  up(): Promise<void> {
    return this.open(this.port, [])
  }

  close(): Promise<void> {
    this.#thaw?.()
    return this.down()
  }

  async #listen(port: number, to: () => ProxyTarget & { readonly kind: Kind }, once = false): Promise<number> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      if (once) server.close(() => this.#servers.delete(server))
      if (this.#left <= 0) {
        client.on('error', () => client.destroy())
        client.resetAndDestroy()
        return
      }
      const { kind, host, port: at } = to()
      const upstream = connect({ host, port: at, allowHalfOpen: true, noDelay: true })
      this.#pass(client, upstream, 'up', kind)
      this.#pass(upstream, client, 'down', kind)
    })
    this.#servers.add(server)
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, this.host, resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('The proxy has no port.')
    return address.port
  }

  #pass(from: Socket, to: Socket, direction: Direction, kind: Kind): void {
    this.#sockets.add(from)
    from.on('close', () => {
      this.#sockets.delete(from)
      if (!from.readableEnded) to.destroy()
    })
    // What breaks on one side shows on the other as a closed connection.
    from.on('error', () => to.destroy())
    this.#pump(from, to, direction, kind).catch(() => to.destroy())
  }

  async #pump(from: Socket, to: Socket, direction: Direction, kind: Kind): Promise<void> {
    for await (const chunk of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      await this.#frozen
      if (!this.#spend(chunk.length)) return
      const changed = kind === 'control' && direction === 'down' ? await this.#withOwnPort(chunk) : chunk
      const bytes = this.#corrupted(changed, direction, kind)
      for (const piece of this.#pieces(bytes)) {
        if (to.destroyed) return
        if (!to.write(piece)) await drained(to)
        if (this.#random !== undefined) await (this.#random() < 0.02 ? wait(1 + this.#random() * 4) : turn())
      }
    }
    to.end()
  }

  #spend(bytes: number): boolean {
    this.#left -= bytes
    if (this.#left > 0) return true
    if (this.#froze === undefined) {
      this.#reset()
      return false
    }
    this.#left = Number.POSITIVE_INFINITY
    this.#frozen = new Promise((resolve) => {
      this.#thaw = resolve
    })
    this.#froze()
    return true
  }

  #reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
    this.#sockets.clear()
  }

  /** `229 … (|||port|)` (RFC 2428). */
  async #withOwnPort(chunk: Buffer): Promise<Buffer> {
    const text = chunk.toString('latin1')
    const found = /^229 .*\(\|\|\|(\d+)\|\)/m.exec(text)
    if (found === null) return chunk
    const target = { host: this.#target.host, port: Number(found[1]), kind: 'data' as const }
    const port = await this.#listen(0, () => target, true)
    return Buffer.from(text.replace(`|||${found[1]}|`, `|||${port}|`), 'latin1')
  }

  #corrupted(bytes: Buffer, direction: Direction, kind: Kind): Buffer {
    const flip = this.#flip
    if (flip === undefined || flip.direction !== direction || kind === 'control') return bytes
    const at = flip.left
    flip.left -= bytes.length
    if (at >= bytes.length) return bytes
    this.#flip = undefined
    this.corrupted += 1
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 0x10
    return changed
  }

  *#pieces(bytes: Buffer): Generator<Buffer> {
    if (this.#random === undefined) return yield bytes
    for (let at = 0; at < bytes.length; ) {
      const length = 1 + Math.floor(this.#random() * Math.min(16_384, bytes.length))
      // ProFTPD waits for ever behind a command whose CR and LF come apart, which one write hardly ever is to.
      const end = bytes[at + length - 1] === CR && bytes[at + length] === LF ? at + length + 1 : at + length
      yield bytes.subarray(at, end)
      at = end
    }
  }
}

const drained = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const over = (): void => {
      socket.off('drain', over).off('close', over)
      resolve()
    }
    socket.on('drain', over).on('close', over)
  })

/** Numbers from 0 to below 1, the same ones for the same seed (a linear congruential generator, Numerical Recipes' constants). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
