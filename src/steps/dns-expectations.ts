import { canonicalName } from '../dns/names.ts'
import type { DnsRecord } from '../dns/port.ts'
import type { DnsTarget } from './world.ts'

/** The playbook's records that the world can see: a proxied one answers with the proxy's addresses before and after. */
export const unproxied = (wanted: DnsTarget['records'], current: readonly DnsRecord[]): DnsTarget['records'] =>
  wanted.filter(
    ({ name, type }) => !current.some((record) => record.name === canonicalName(name) && record.type === type && record.proxied),
  )
