import { listenDns } from '../../src/demo/dns-listener.ts'

/** A port of `address` that is free for UDP and TCP alike. It is given back before it is used: a server may still lose it. */
export async function freeDnsPort(address: string): Promise<number> {
  // Ports are looked for on IPv4 alone.
  const listener = await listenDns(address.includes(':') ? '127.0.0.1' : address, () => undefined)
  await listener.close()
  return listener.port
}
