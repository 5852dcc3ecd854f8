import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { Accidents, type Direction, deliver, type Narrow, NarrowWay, randomFrom, type Weather, withFlips } from './bad-line.ts'

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
  /** Takes back `cut`, `freeze`, `shred`, `corrupt`, `storm` and `narrow`. */
  mend(): void
  /** After so many more bytes nothing passes any more, and nobody is told, until `mend`. Resolves when it is so. */
  freeze(afterBytes: number): Promise<void>
  /** Everything comes in pieces of odd lengths, some of them late; the same ones for the same seed and traffic. */
  shred(seed: number): void
  /** A bit of the byte at this place of what goes `up` to the server or `down` from it is turned over; of FTP's data connections alone. */
  corrupt(atByte: number, direction: Direction): void
  /** Bits turned over so far. */
  readonly corrupted: number
  /** Accidents come by chance, at the same bytes for the same seed and traffic. */
  storm(seed: number, weather: Weather): void
  /** How often a storm reset every connection. */
  readonly resets: number
  /** Everything takes longer from now on, and no more than so much passes in a second. */
  narrow(line: Narrow): void
  /** New connections go there from now on. */
  lead(target: ProxyTarget): void
  /** Nobody listens any more, as on a host that is switched off; `up` listens again, on the same port. */
  down(): Promise<void>
  up(): Promise<void>
  close(): Promise<void>
}

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

/** `229 … (|||port|)` (RFC 2428), and `227 … (h1,h2,h3,h4,p1,p2)` (RFC 959, section 4.1.2). */
const EXTENDED = /(?<=^229 .*\(\|\|\|)\d+(?=\|\))/m
const PASSIVE = /(?<=^227 .*)\d+,\d+,\d+,\d+,(\d+),(\d+)/m

const METHODS = ['cut', 'mend', 'freeze', 'shred', 'corrupt', 'storm', 'narrow', 'lead', 'down', 'up', 'close'] as const

class Line implements FaultProxy {
  readonly host: string
  port = 0
  corrupted = 0
  resets = 0
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
  #accidents: Accidents | undefined
  #way: NarrowWay | undefined

  constructor(target: ProxyTarget, host: string, isFtp: boolean) {
    this.#target = target
    this.host = host
    this.#isFtp = isFtp
    // Handed on by themselves, too.
    for (const name of METHODS) Object.defineProperty(this, name, { value: this[name].bind(this) })
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
    this.#accidents = undefined
    this.#way = undefined
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

  storm(seed: number, weather: Weather): void {
    this.#accidents = new Accidents(seed, weather)
  }

  narrow(line: Narrow): void {
    this.#way = new NarrowWay(line)
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
    let underWay = Promise.resolve()
    for await (const chunk of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      await this.#frozen
      if (!this.#spend(chunk.length)) return
      const changed = kind === 'control' && direction === 'down' ? await this.#withOwnPort(chunk) : chunk
      const bytes = this.#corrupted(changed, direction, kind)
      const way = this.#way
      if (way === undefined) {
        await underWay
        await deliver(to, bytes, this.#random)
        continue
      }
      const due = way.take(bytes.length, direction)
      underWay = underWay
        .then(() => wait(Math.max(0, due - performance.now())))
        .then(() => deliver(to, bytes, this.#random))
        .catch(() => void to.destroy())
      await way.room(direction)
    }
    await underWay
    to.end()
  }

  #spend(bytes: number): boolean {
    if (this.#accidents?.cuts(bytes) === true) {
      this.resets += 1
      this.#reset()
      return false
    }
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

  async #withOwnPort(chunk: Buffer): Promise<Buffer> {
    const text = chunk.toString('latin1')
    const plain = PASSIVE.exec(text)
    const asked = Number(EXTENDED.exec(text)?.[0] ?? Number(plain?.[1]) * 256 + Number(plain?.[2]))
    if (Number.isNaN(asked)) return chunk
    const port = await this.#listen(0, () => ({ host: this.#target.host, port: asked, kind: 'data' }), true)
    const own = `${this.host.replaceAll('.', ',')},${port >> 8},${port & 255}`
    return Buffer.from(text.replace(EXTENDED, `${port}`).replace(PASSIVE, own), 'latin1')
  }

  #corrupted(bytes: Buffer, direction: Direction, kind: Kind): Buffer {
    if (kind === 'control') return bytes
    const places = [...(this.#accidents?.flips(bytes.length) ?? []), ...this.#flipped(bytes.length, direction)]
    this.corrupted += places.length
    return withFlips(bytes, places)
  }

  /** The place that a test chose, when it is among these bytes. */
  #flipped(bytes: number, direction: Direction): readonly number[] {
    const flip = this.#flip
    if (flip === undefined || flip.direction !== direction) return []
    const at = flip.left
    flip.left -= bytes
    if (at >= bytes) return []
    this.#flip = undefined
    return [at]
  }
}
