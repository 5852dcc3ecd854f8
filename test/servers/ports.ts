import { createSocket } from 'node:dgram'
import { connect, createServer, isIPv6 } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * A server that is told its port gets one from here. The system takes those from END on for connections and for whoever listens on any
 * port (Linux: ip_local_port_range; others begin higher still): such a one can be gone between being found and being listened on, or
 * somebody who looks whether it is open meets himself there (RFC 9293, 3.5, simultaneous open).
 */
const FIRST = 10_000
const END = 32_768
/** A machine may be busy with other tests. */
const PATIENCE_MS = 60_000

/** Found by this process so far: nobody gets one of them again before its server listens. */
const found = new Set<number>()

/** A port of `address` that nobody listens on at this moment, over TCP or UDP. */
export const freePort = async (address: string): Promise<number> => (await freePorts([address], 1))[0] ?? 0

/** Ports one after the other that nobody listens on at this moment, on any of the addresses. */
export async function freePorts(addresses: readonly string[], count: number): Promise<readonly number[]> {
  for (;;) {
    // Tests that run side by side hardly ever choose alike.
    const first = FIRST + Math.floor(Math.random() * (END - FIRST - count))
    const ports = Array.from({ length: count }, (_, index) => first + index)
    if (ports.some((port) => found.has(port))) continue
    for (const port of ports) found.add(port)
    const free = await Promise.all(ports.flatMap((port) => addresses.map((address) => isFree(address, port))))
    if (free.every(Boolean)) return ports
  }
}

const isFree = async (address: string, port: number): Promise<boolean> =>
  (await isFreeForTcp(address, port)) && (await isFreeForUdp(address, port))

const isFreeForTcp = (address: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, address, () => server.close(() => resolve(true)))
  })

const isFreeForUdp = (address: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
    socket.once('error', () => socket.close(() => resolve(false)))
    socket.bind(port, address, () => socket.close(() => resolve(true)))
  })

/** Resolves when somebody takes connections there. `ended`: what the server said when it has ended instead, which is then thrown. */
export async function untilListening(address: string, port: number, ended: () => string | undefined): Promise<void> {
  const enough = performance.now() + PATIENCE_MS
  while (!(await takesConnections(address, port))) {
    const said = ended()
    if (said !== undefined) throw new Error(`The server for ${address}:${port} has ended: ${said}`)
    if (performance.now() > enough) throw new Error(`Nobody listens on ${address}:${port} after ${PATIENCE_MS} ms.`)
    await wait(25)
  }
}

const takesConnections = (address: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, address)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
