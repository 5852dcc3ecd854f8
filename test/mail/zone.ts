import type { Found, Lookup } from '../../src/mail/lookup.ts'

/** Lines of a zone, `name TYPE value`, as a resolver would answer from them. Names that begin with `!` get no answer at all. */
export function zoneLookup(lines: readonly string[]): Lookup {
  const records = lines.map((line) => {
    const [, name = '', type = '', value = ''] = /^(\S+)\s+(\S+)\s+(.*)$/.exec(line) ?? []
    return { name, type, value }
  })
  return async (name, type): Promise<Found> => {
    if (records.some((record) => record.name === `!${name}`)) return { state: 'unknown', values: [], status: 'TIMEOUT' }
    const values = records.filter((record) => record.name === name && record.type === type).map((record) => record.value)
    return { state: values.length > 0 ? 'found' : 'none', values, status: values.length > 0 ? 'NOERROR' : 'NXDOMAIN' }
  }
}
