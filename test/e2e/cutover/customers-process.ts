import { randomInt, randomUUID } from 'node:crypto'
import { Resolver } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import type { LookupFunction } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import { receiptSchema } from '../../../src/demo/shop-checkout.ts'
import type { CustomersOptions, Habit, News, Told } from './messages.ts'

/** The customers, in a process of their own: nothing here knows of migrate, and everything is measured from their side. */
const options = JSON.parse(process.argv[2] ?? '') as CustomersOptions
const ca = readFileSync(options.ca, 'utf8')

const PAUSE_MS = [200, 800] as const
const PATIENCE_MS = 20_000
const [UPLOADS, LOOKS, NEWCOMERS] = [0.15, 0.2, 0.3]
const PRODUCTS = 40
/** Regular customers of the shop, one for each of ours. */
const regular = (number: number): string => `regular-${number}@customers.test`

let stopped = false
let mayStick = true
const family = { email: `family-${randomUUID()}@customers.test`, isMet: false, isBoughtOnNew: false }
/** Where the first of all purchases was made. */
let oldAddress: string | undefined

class Customer {
  readonly #number: number
  readonly #habit: Habit
  readonly #resolver = new Resolver()
  readonly #agent: Agent | undefined
  #found: { readonly address: string; readonly until: number } | undefined
  /** Somebody who registered at the last purchase, and comes back. */
  #newcomer: string | undefined
  #hasMoved = false

  constructor(number: number, habit: Habit) {
    this.#number = number
    this.#habit = habit
    this.#resolver.setServers([options.resolvers[number % options.resolvers.length] ?? ''])
    if (habit === 'keep-alive') this.#agent = new Agent({ keepAlive: true, maxSockets: 1, ca, lookup: this.#lookup })
  }

  async live(): Promise<void> {
    while (!stopped) {
      await wait(randomInt(...PAUSE_MS))
      await this.#visit()
    }
    this.#agent?.destroy()
  }

  async #visit(): Promise<void> {
    let address = 'nowhere'
    const tell = (news: Partial<News>): void => {
      process.send?.({ customer: this.#number, habit: this.#habit, address, at: Date.now(), ...news })
    }
    try {
      const chance = Math.random()
      if (chance < LOOKS) {
        address = (await this.#ask('GET', '/', 200)).address
        await this.#ask('GET', `/images/shirt-${String(1 + randomInt(PRODUCTS)).padStart(2, '0')}.png`, 200)
        tell({ kind: 'looked' })
      } else if (chance < LOOKS + UPLOADS) {
        const path = `uploads/${randomUUID()}.svg`
        const content = `<svg xmlns="http://www.w3.org/2000/svg"><title>${this.#number} ${randomUUID()}</title></svg>`
        address = (await this.#ask('PUT', `/${path}`, 201, content)).address
        tell({ kind: 'uploaded', path, content })
      } else {
        const email = this.#email()
        const items = [{ sku: `TEE-${String(1 + randomInt(PRODUCTS)).padStart(3, '0')}`, quantity: 1 + randomInt(3) }]
        const purchase = { email, name: `${email.split('@')[0]} Ωmega`, reference: randomUUID(), items }
        const answer = await this.#ask('POST', '/checkout', 201, JSON.stringify(purchase))
        address = answer.address
        oldAddress ??= address
        this.#hasMoved = address !== oldAddress
        if (email === family.email && this.#hasMoved) family.isBoughtOnNew = true
        tell({ kind: 'bought', receipt: receiptSchema.parse(JSON.parse(answer.body)) })
      }
    } catch (error) {
      tell({ kind: 'failed', words: String(error) })
    }
  }

  #email(): string {
    // First on the new host, then on the old one, where nobody knows of it.
    const isOfFamily =
      this.#habit === 'sticky' ? family.isBoughtOnNew && mayStick : family.isMet && this.#hasMoved && !family.isBoughtOnNew
    if (isOfFamily) return family.email
    const known = this.#newcomer
    this.#newcomer = known === undefined && Math.random() < NEWCOMERS ? `new-${randomUUID()}@customers.test` : undefined
    return known ?? this.#newcomer ?? regular(this.#number + 1)
  }

  async #find(): Promise<string> {
    const sticks = this.#habit === 'sticky' && mayStick
    if (this.#found !== undefined && (sticks || this.#found.until > Date.now())) return this.#found.address
    const [record] = await this.#resolver.resolve4(options.name, { ttl: true })
    if (record === undefined) throw new Error(`${options.name} has no address`)
    this.#found = { address: record.address, until: Date.now() + record.ttl * 1000 }
    return record.address
  }

  /** For a connection that is opened; an open one asks nobody. */
  readonly #lookup: LookupFunction = (_name, _options, done) => {
    this.#find().then(
      (address) => done(null, [{ address, family: 4 }]),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), []),
    )
  }

  async #ask(method: string, path: string, status: number, body?: string): Promise<{ address: string; body: string }> {
    const headers = { host: `${options.name}:${options.port}`, 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' }
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const where =
      this.#agent === undefined
        ? { host: await this.#find(), servername: options.name, agent: false as const }
        : { host: options.name, agent: this.#agent }
    return await new Promise((resolve, reject) => {
      const asking = request({ ...where, ca, port: options.port, method, path, headers, signal }, (response) => {
        const address = response.socket.remoteAddress ?? ''
        text(response).then((words) => {
          if (response.statusCode === status) resolve({ address, body: words })
          else reject(new Error(`${method} ${path} on ${address}: ${response.statusCode} ${words.slice(0, 300)}`))
        }, reject)
      })
      asking.on('error', (error) => reject(new Error(`${method} ${path} at ${where.host}`, { cause: error })))
      asking.end(body)
    })
  }
}

process.on('message', (told: Told) => {
  if (told === 'family') family.isMet = true
  if (told === 'leave') mayStick = false
  if (told === 'stop') stopped = true
})

const habits = Object.entries(options.crowd) as [Habit, number][]
const customers = habits
  .flatMap(([habit, count]) => Array.from({ length: count }, () => habit))
  .map((habit, n) => new Customer(n, habit))
await Promise.all(customers.map((each) => each.live()))
process.disconnect?.()
