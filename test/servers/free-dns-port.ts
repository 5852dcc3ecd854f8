import { listenDns } from '../../src/demo/dns-listener.ts'

/** A port of `address` that is free for UDP and TCP alike. It is given back before it is used: a server may still lose it. */
export async function freeDnsPort(address: string): Promise<number> {
  const listener = await listenDns(address, () => undefined)
  await listener.close()
  return listener.port
}
