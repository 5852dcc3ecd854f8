import type { Clock } from '../base/clock.ts'
import { parseServerAddress } from './names.ts'
import type { Resolver } from './port.ts'
import { publicResolvers } from './public-resolvers.ts'
import { measureResolver } from './resolver-measure.ts'

/**
 * The resolvers that a playbook asks for: `default` is the shipped list of public ones, otherwise addresses with ports.
 * Throws MigrateError `dns-address-invalid`.
 */
export function resolversFor(spec: 'default' | readonly string[], clock: Clock): readonly Resolver[] {
  if (spec !== 'default') return spec.map((text) => measureResolver(parseServerAddress(text), { clock }))
  return publicResolvers.map(({ address, operator, region }) =>
    measureResolver(parseServerAddress(address), { clock, label: `${operator}, ${region} (${address})` }),
  )
}
