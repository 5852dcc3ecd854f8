import { z } from 'zod'
import type { Json } from '../../src/base/json.ts'
import type { Sequence, Step } from '../../src/run/step.ts'
import { stepKinds } from '../../src/steps/index.ts'
import type { DnsTarget, StepContext, TableRules, World } from '../../src/steps/world.ts'
import { MemoryDns, MemoryZone, memoryResolver } from '../fakes/memory-dns.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { testWorld } from '../fakes/step-run.ts'
import type { Life } from './life.ts'
import type { Scenario } from './simulate.ts'

const DATABASE_WRITES = new Set([
  'execute',
  'retract',
  'load',
  'loadBlocks',
  'loadTogether',
  'analyse',
  'deleteOrphans',
  'removeOwnTables',
  'raiseIdentity',
  'resetIdentity',
  'transaction',
  'runStatements',
  'insert',
  'update',
  'delete',
  'ledger',
])
const FILE_WRITES = new Set(['write', 'makeFolder', 'link', 'remove', 'removeFolder'])
const DNS_WRITES = new Set(['apply'])

/** Two hosts and a zone, in memory, and the customers who use them. They outlive the processes that move the shop. */
export class MovingWorld {
  readonly oldShop = new MemoryShop()
  readonly newShop = new MemoryShop()
  readonly oldFiles = new MemoryFiles('memory://old')
  readonly newFiles = new MemoryFiles('memory://new')
  readonly zone: MemoryZone
  #boughtOnOld = false
  #boughtOnNew = false

  private constructor() {
    const records = [
      { name: 'shop.example', type: 'A' as const, content: '203.0.113.10', ttlSeconds: 12, proxied: false },
      { name: 'www.shop.example', type: 'CNAME' as const, content: 'shop.example', ttlSeconds: 12, proxied: false },
    ]
    this.zone = new MemoryZone('shop.example', records)
  }

  static async open(): Promise<MovingWorld> {
    const world = new MovingWorld()
    await world.oldShop.createShop()
    for (const email of ['ada@shop.example', 'grace@shop.example', 'edsger@shop.example'])
      await world.oldShop.insert('customers', { email, name: 'naïve “name” ', note: '' })
    await world.oldShop.insert('products', { title: 'T-shirt', stock: '10', price: '19.9900' })
    for (const customer of ['1', '2', '3', '1']) {
      const order = await world.oldShop.insert('orders', { customer_id: customer, placed: '2009-08-26T03:30:00.123456' })
      await world.oldShop.insert('order_items', { order_id: order, line: '1', product_id: '1', quantity: '2' })
    }
    await world.oldShop.insert('visits', { page: '/', visitor: null })
    world.oldFiles.put('index.html', '<h1>Shop</h1>')
    world.oldFiles.put('web.config', '<add server="old-sql.example.com"/>', 0o640)
    world.oldFiles.put('images/shirt.png', 'png '.repeat(500))
    await world.oldFiles.link('logo.png', 'images/shirt.png')
    return world
  }

  /** Between the snapshot and the cutover: what reconcile has to carry over. */
  async buyOnOld(): Promise<void> {
    if (this.#boughtOnOld) return
    this.#boughtOnOld = true
    const order = await this.oldShop.insert('orders', { customer_id: '2', placed: '2009-08-26T09:00:00.000001' })
    await this.oldShop.insert('order_items', { order_id: order, line: '1', product_id: '1', quantity: '1' })
    await this.oldShop.insert('customers', { email: 'barbara@shop.example', name: null })
    await this.oldShop.update('customers', { id: '1' }, { note: 'moved house' })
    await this.oldShop.remove('order_items', { order_id: '4', line: '1' })
    this.oldFiles.put('uploads/barbara.png', 'a picture '.repeat(100), 0o644, 1_700_000_100)
    this.oldFiles.put('index.html', '<h1>Shop, closing soon</h1>', 0o644, 1_700_000_200)
  }

  async buyOnNew(): Promise<void> {
    if (this.#boughtOnNew) return
    this.#boughtOnNew = true
    const order = await this.newShop.insert('orders', { customer_id: '3', placed: '2009-08-26T09:30:00.000002' })
    await this.newShop.insert('order_items', { order_id: order, line: '1', product_id: '1', quantity: '5' })
    this.newFiles.put('uploads/edsger.png', 'another picture', 0o644, 1_700_000_300)
    // Somebody whose DNS is slow: it is on the old host after the last look before the cutover.
    this.oldFiles.put('uploads/grace.png', 'a late picture', 0o644, 1_700_000_400)
  }

  /** Too little for the guard (64 MiB, unless told otherwise), enough for all that is to come. */
  loseRoomOnNew(): void {
    this.newFiles.capacity = 32 * 2 ** 20
  }

  get state(): Json {
    return {
      oldDatabase: this.oldShop.server.dump(),
      newDatabase: this.newShop.server.dump(),
      oldFiles: this.oldFiles.fingerprint(),
      newFiles: this.newFiles.fingerprint(),
      zone: this.zone.records.map((record) => JSON.stringify(record)).sort(),
    }
  }

  /** The ports as one process sees them. */
  seenBy(life: Life, orders: Partial<TableRules> = {}): World {
    const dns: DnsTarget = {
      provider: life.guard(new MemoryDns(this.zone), DNS_WRITES),
      zone: 'shop.example',
      records: [{ name: 'shop.example', type: 'A', to: '198.51.100.20' }],
      authoritative: async () => [memoryResolver(this.zone)],
    }
    return {
      ...testWorld({
        effects: life.effects,
        tables: { visits: { mode: 'copy-only' }, orders },
        old: {
          database: life.guard(this.oldShop.open({ label: 'old database' }), DATABASE_WRITES),
          files: life.guard(this.oldFiles, FILE_WRITES),
        },
        new: {
          database: life.guard(this.newShop.open({ label: 'new database' }), DATABASE_WRITES),
          files: life.guard(this.newFiles, FILE_WRITES),
        },
      }),
      dns,
      resolvers: () => [memoryResolver(this.zone, 'a resolver')],
    }
  }
}

/** Customers do something at this place of the run; nobody of them knows of migrate. */
function customers(id: string, act: () => Promise<void>): Step {
  return {
    id,
    title: 'Customers buy',
    phase: 'settle',
    change: z.literal('buy'),
    check: async () => [],
    plan: async (run) => (run.history('buy') === 'applied' ? [] : ['buy']),
    apply: act,
    verify: async () => [],
    undo: async () => undefined,
    describe: () => 'customers buy',
  }
}

const OPTIONS: Readonly<Record<string, unknown>> = {
  'rewrite-config': [{ file: 'web.config', replace: { 'old-sql.example.com': 'new-sql.example.com' } }],
  'lower-ttl': { ttl: 6 },
  'watch-propagation': { quiet: '10s', ttls: 1, every: '5s' },
  guard: { failback: 'auto', every: '5s', for: '10s', after: '20s', well: '30s' },
  run: { command: 'true' },
  pause: 'Ready?',
}

function make(id: string, world: World, made: Step[]): Step {
  const kindName = id.replace(/#.*/, '')
  const kind = stepKinds.find((each) => each.name === kindName)
  if (kind === undefined) throw new Error(`there is no kind of step ${kindName}`)
  const afterCutover = made.some((each) => each.phase === 'cutover')
  const context: StepContext = {
    id,
    world,
    playbookDirectory: '/',
    playbookName: 'shop.yml',
    others: () => made.filter((each) => each.id !== id),
    afterCutover,
  }
  const step = kind.create(kind.options.parse(OPTIONS[kindName]), context)
  made.push(step)
  return step
}

/** The playbook of the story, over fakes: every step but those that ask web servers. */
export function wholeRun(settings: {
  readonly customers: boolean
  readonly bury: () => void
  /** What the playbook says of the table of orders. */
  readonly orders?: Partial<TableRules>
  /** The new host fails soon after the cutover. */
  readonly failing?: boolean
}): Scenario<MovingWorld> {
  return {
    build: () => MovingWorld.open(),
    sequence: (moving, life): Sequence => {
      const world = moving.seenBy(life, settings.orders)
      const made: Step[] = []
      const groups = [
        ['check'],
        ['lower-ttl'],
        ['snapshot-files', 'snapshot-database'],
        ['restore-files', 'restore-database'],
        ['bump-identities'],
        ['rewrite-config'],
        ['carry-files'],
        ['cutover-dns'],
        ['watch-propagation', 'guard'],
        ['carry-files#2', 'reconcile'],
        ['report'],
      ].map((group) => group.map((name) => make(name, world, made)))
      if (!settings.customers) return groups
      const onNew = async (): Promise<void> => {
        await moving.buyOnNew()
        if (settings.failing === true) moving.loseRoomOnNew()
      }
      return groups.flatMap((group) => {
        if (group[0]?.id === 'carry-files') return [[customers('buy-on-old', () => moving.buyOnOld())], group]
        if (group[0]?.id === 'cutover-dns') return [group, [customers('buy-on-new', onNew)]]
        return [group]
      })
    },
    state: (moving) => moving.state,
    // Doesn't wait for the old TTL: it would be most of the time that a run takes.
    options: { yes: true },
    bury: settings.bury,
  }
}
