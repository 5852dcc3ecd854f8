import { type Finding, MigrateError } from '../../src/base/errors.ts'
import { canonicalName } from '../../src/dns/names.ts'
import type { DnsAnswer, DnsProvider, DnsRecord, RecordChange, Resolver } from '../../src/dns/port.ts'
import { counterpart, outstanding } from '../../src/dns/standing.ts'

/** What may be done around every call: throw to fail it, before it has an effect or after. */
export type DnsCallHook = (operation: 'records' | 'apply', when: 'before' | 'after') => void | Promise<void>

/** A published zone: it outlives the providers and resolvers that look at it. */
export class MemoryZone {
  readonly name: string
  records: readonly DnsRecord[]
  #next = 1

  constructor(name: string, records: readonly Omit<DnsRecord, 'id'>[]) {
    this.name = name
    this.records = records.map((record) => ({ ...record, id: this.#newId() }))
  }

  /** All or nothing. */
  make(changes: readonly RecordChange[]): void {
    let records = this.records
    for (const { before, after } of changes) {
      const target = before === null ? undefined : counterpart(before, records)
      records = records.filter((record) => record !== target)
      if (after !== null) records = [...records, { ...after, id: target?.id ?? this.#newId() }]
    }
    this.records = records
  }

  /** What a resolver with an empty cache is told. */
  answer(name: string, type: string): DnsAnswer {
    const own = this.records.filter((record) => record.name === canonicalName(name))
    const found = own.filter((record) => record.type === type || record.type === 'CNAME')
    return {
      status: own.length === 0 ? 'NXDOMAIN' : 'NOERROR',
      authoritative: true,
      records: found.map((record) => ({
        name: record.name,
        type: record.type,
        content: record.content,
        ttlSeconds: record.ttlSeconds,
      })),
      negativeTtlSeconds: found.length === 0 ? 60 : null,
      milliseconds: 0,
    }
  }

  #newId(): string {
    this.#next += 1
    return `record-${this.#next - 1}`
  }
}

export interface MemoryDnsOptions {
  /** An account without the right to write. */
  readonly readOnly?: boolean
  readonly unreachable?: boolean
  readonly onCall?: DnsCallHook
}

/** A DNS provider in memory, behind the same port as the real ones and held to the same contract. */
export class MemoryDns implements DnsProvider {
  readonly label: string
  readonly manual = false
  readonly #zone: MemoryZone
  readonly #options: MemoryDnsOptions

  constructor(zone: MemoryZone, options: MemoryDnsOptions = {}) {
    this.label = `memory zone ${zone.name}`
    this.#zone = zone
    this.#options = options
  }

  async check(): Promise<readonly Finding[]> {
    const { unreachable, readOnly } = this.#options
    if (unreachable) return [{ severity: 'error', code: 'dns-unreachable', message: `${this.label} can't be reached.` }]
    return readOnly ? [{ severity: 'error', code: 'dns-permission-denied', message: `${this.label} may not be changed.` }] : []
  }

  async records(names: readonly string[]): Promise<readonly DnsRecord[]> {
    this.#reach()
    await this.#options.onCall?.('records', 'before')
    const wanted = names.map(canonicalName)
    const found = this.#zone.records.filter((record) => wanted.includes(record.name))
    await this.#options.onCall?.('records', 'after')
    return found
  }

  async apply(changes: readonly RecordChange[]): Promise<void> {
    this.#reach()
    await this.#options.onCall?.('apply', 'before')
    const todo = outstanding(changes, this.#zone.records)
    if (todo.length > 0 && this.#options.readOnly) {
      throw new MigrateError('dns-permission-denied', `${this.label} may not be changed. Nothing was changed.`)
    }
    this.#zone.make(todo)
    await this.#options.onCall?.('apply', 'after')
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #reach(): void {
    if (this.#options.unreachable)
      throw new MigrateError('dns-unreachable', `${this.label} can't be reached.`, { retrySafe: true })
  }
}

/** A name server of the zone, in memory. */
export const memoryResolver = (zone: MemoryZone, label = `ns1.${zone.name}`): Resolver => ({
  label,
  query: (name, type) => Promise.resolve(zone.answer(name, type)),
})

/** A resolver that says what the script returns. */
export const scriptedResolver = (label: string, script: (name: string, type: string) => Partial<DnsAnswer>): Resolver => ({
  label,
  query: (name, type) =>
    Promise.resolve({
      status: 'NOERROR',
      authoritative: false,
      records: [],
      negativeTtlSeconds: null,
      milliseconds: 0,
      ...script(name, type),
    }),
})
