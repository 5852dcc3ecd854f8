import type { Clock } from '../base/clock.ts'
import { parseServerAddress } from './names.ts'
import type { Resolver } from './port.ts'
import { publicResolvers, VANTAGE_RESOLVER, vantagePoints } from './public-resolvers.ts'
import { dohResolver } from './resolver-doh.ts'
import { measureResolver } from './resolver-measure.ts'

/**
 * The resolvers that a playbook asks for: `default` is the shipped list of public ones with vantage points in several regions,
 * otherwise addresses with ports, or https:// for those that are asked over HTTPS. Throws MigrateError `dns-address-invalid`.
 */
export function resolversFor(spec: 'default' | readonly string[], clock: Clock): readonly Resolver[] {
  if (spec !== 'default') return spec.map((text) => resolverAt(text, clock))
  return [...publicResolvers.map((each) => publicResolver(each, clock)), ...vantagesThrough(VANTAGE_RESOLVER, clock)]
}

const resolverAt = (text: string, clock: Clock): Resolver =>
  text.startsWith('https://') && URL.canParse(text)
    ? dohResolver(text, { clock })
    : measureResolver(parseServerAddress(text), { clock })

function publicResolver({ address, operator, region, https }: (typeof publicResolvers)[number], clock: Clock): Resolver {
  const label = `${operator}, ${region} (${address})`
  const plain = measureResolver(parseServerAddress(address), { clock, label })
  return https === undefined ? plain : { ...plain, overHttps: dohResolver(https, { clock, label: `${label} over HTTPS` }) }
}

const vantagesThrough = (address: string, clock: Clock): readonly Resolver[] =>
  vantagePoints.map(({ subnet, prefixLength, region }) =>
    measureResolver(parseServerAddress(address), {
      clock,
      label: `Google as seen from ${region}`,
      subnet: { ip: subnet, prefixLength },
    }),
  )

/** Reserved for documentation (RFC 5737): nobody has it, so nobody answers there. */
const NOBODY = '192.0.2.53'
const PROBE_TIMEOUT_MS = 1500

/** True when an address that nobody has answers questions: somebody on the way takes those for every name server. */
export async function isIntercepted(name: string, clock: Clock, signal?: AbortSignal, address = NOBODY): Promise<boolean> {
  const nobody = measureResolver(parseServerAddress(address), { clock, timeoutMs: PROBE_TIMEOUT_MS, tries: 1 })
  const { status } = await nobody.query(name, 'A', signal)
  return status !== 'TIMEOUT' && status !== 'UNREACHABLE'
}
