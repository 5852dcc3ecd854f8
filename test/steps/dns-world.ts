import { MigrateError } from '../../src/base/errors.ts'
import type { DnsProvider, DnsRecord, Resolver } from '../../src/dns/port.ts'
import type { Step } from '../../src/run/step.ts'
import type { StepKind, World } from '../../src/steps/world.ts'
import { FakeClock } from '../fakes/clock.ts'
import { MemoryDns, MemoryZone, memoryResolver } from '../fakes/memory-dns.ts'
import { TestRun, testContext, testWorld } from '../fakes/step-run.ts'

export const OLD = '203.0.113.10'
export const NEW = '198.51.100.20'

type Plain = Partial<DnsRecord> & Pick<DnsRecord, 'name' | 'content'>
export const record = ({ type = 'A', ttlSeconds = 300, proxied = false, ...rest }: Plain): Omit<DnsRecord, 'id'> => ({
  type,
  ttlSeconds,
  proxied,
  ...rest,
})

export const shopZone = (records: readonly Omit<DnsRecord, 'id'>[] = shopRecords): MemoryZone =>
  new MemoryZone('shop.example', records)

const shopRecords = [
  record({ name: 'shop.example', content: OLD, ttlSeconds: 3600 }),
  record({ name: 'www.shop.example', type: 'CNAME', content: 'shop.example', ttlSeconds: 600 }),
  record({ name: 'blog.shop.example', content: '192.0.2.80', ttlSeconds: 3600 }),
]

export interface DnsWorldOptions {
  readonly provider?: DnsProvider
  readonly authoritative?: readonly Resolver[]
  readonly resolvers?: readonly Resolver[]
  readonly records?: readonly { readonly name: string; readonly type: DnsRecord['type']; readonly to: string }[]
  readonly world?: Partial<World>
}

/** A world whose playbook moves shop.example and names www.shop.example. */
export function dnsWorld(zone: MemoryZone, options: DnsWorldOptions = {}): World {
  return {
    ...testWorld({}),
    dns: {
      provider: options.provider ?? new MemoryDns(zone),
      zone: zone.name,
      records: options.records ?? [
        { name: 'shop.example', type: 'A', to: NEW },
        { name: 'www.shop.example', type: 'CNAME', to: 'shop.example' },
      ],
      authoritative: () => Promise.resolve(options.authoritative ?? [memoryResolver(zone)]),
    },
    resolvers: () => options.resolvers ?? [],
    ...options.world,
  }
}

/** The step as the playbook would make it from these options. */
export function stepOf(kind: StepKind<never> | StepKind, world: World, options?: unknown): Step {
  const made = kind as StepKind
  return made.create(made.options.parse(options), testContext(world, made.name))
}

export const newRun = (clock: FakeClock = new FakeClock()): TestRun => new TestRun('/nowhere', clock)

/** A run without a terminal: every question ends the command. */
export class UnattendedRun extends TestRun {
  override confirm(question: string): Promise<boolean> {
    this.questions.push(question)
    return Promise.reject(new MigrateError('confirmation-needed', question, { ending: 'waiting' }))
  }
}

export const contents = (zone: MemoryZone): readonly string[] =>
  zone.records.map(({ name, type, content, ttlSeconds }) => `${name} ${type} ${content} ${ttlSeconds}`).sort()

export const findings = (run: TestRun): readonly string[] =>
  run.events.flatMap((event) => (event.event === 'finding' ? [event.code] : []))
export const notes = (run: TestRun): readonly string[] =>
  run.events.flatMap((event) => (event.event === 'note' ? [event.message] : []))
