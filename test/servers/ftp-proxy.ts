import { connect, createServer, type Server, type Socket } from 'node:net'
import type { CutProxy } from './cut-proxy.ts'

/** Between a client and an FTP server in the clear: its data connections come through here too, so that they can be cut. */
export async function startFtpProxy(
  target: { readonly host: string; readonly port: number },
  listen = '127.0.0.1',
): Promise<Pick<CutProxy, 'host' | 'port' | 'cut' | 'mend' | 'close'>> {
  const sockets = new Set<Socket>()
  const servers = new Set<Server>()
  let left = Number.POSITIVE_INFINITY
  const reset = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
    sockets.clear()
  }
  const pass = (from: Socket, to: Socket, change: (chunk: Buffer) => Promise<Buffer> | Buffer): void => {
    sockets.add(from)
    let last = Promise.resolve()
    from.on('data', (chunk: Buffer) => {
      left -= chunk.length
      if (left <= 0) return reset()
      from.pause()
      last = last.then(async () => {
        const changed = await change(chunk)
        from.resume()
        if (!to.destroyed) to.write(changed)
      })
    })
    from.on('end', () => void last.then(() => to.end()))
    from.on('close', () => {
      sockets.delete(from)
      void last.then(() => (from.readableEnded ? to.end() : to.destroy()))
    })
    from.on('error', () => to.destroy())
  }
  const asIs = (chunk: Buffer): Buffer => chunk
  const listenFor = async (
    port: number,
    answers: (chunk: Buffer) => Promise<Buffer> | Buffer,
    once: boolean,
  ): Promise<number> => {
    const server = createServer((client) => {
      if (once) server.close(() => servers.delete(server))
      if (left <= 0) {
        client.on('error', () => client.destroy())
        client.resetAndDestroy()
        return
      }
      const upstream = connect({ host: target.host, port, allowHalfOpen: true })
      pass(client, upstream, asIs)
      pass(upstream, client, answers)
    })
    servers.add(server)
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, listen, resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('The proxy has no port.')
    return address.port
  }
  /** `229 … (|||port|)` (RFC 2428). */
  const rewritten = async (chunk: Buffer): Promise<Buffer> => {
    const text = chunk.toString('latin1')
    const found = /^229 .*\(\|\|\|(\d+)\|\)/m.exec(text)
    if (found === null) return chunk
    const port = await listenFor(Number(found[1]), asIs, true)
    return Buffer.from(text.replace(`|||${found[1]}|`, `|||${port}|`), 'latin1')
  }
  const port = await listenFor(target.port, rewritten, false)
  return {
    host: listen,
    port,
    cut: (afterBytes) => {
      left = afterBytes
      if (left <= 0) reset()
    },
    mend: () => {
      left = Number.POSITIVE_INFINITY
    },
    close: async () => {
      reset()
      await Promise.all([...servers].map((server) => new Promise<void>((resolve) => server.close(() => resolve()))))
    },
  }
}
