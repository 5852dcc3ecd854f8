import { MigrateError, messageOf } from '../base/errors.ts'
import { formatBytes } from '../base/units.ts'
import { layoutOf } from '../databases/layout.ts'
import type { Database } from '../databases/port.ts'
import type { IdentityState, Layout } from '../databases/schema.ts'
import type { StepRun } from '../run/step.ts'
import type { GuardOptions } from './guard-options.ts'
import { ask } from './http-exchange.ts'
import { limited } from './limited.ts'
import type { Host, World } from './world.ts'

export interface Fault {
  readonly what: 'site' | 'database' | 'storage' | 'orders'
  /** A sentence without its full stop, for people. */
  readonly message: string
  /** There was no answer at all: our own line may be down as well. */
  readonly silent: boolean
}

export interface Numbers {
  readonly schema: Layout
  readonly states: readonly IdentityState[]
}

/** What one look at a host found; a part that wasn't asked, or can't be, has neither faults nor an answer. */
export interface HostSight {
  readonly faults: readonly Fault[]
  /** Something of it answered, be it with an error. */
  readonly answered: boolean
  /** Where its numbers stand; `undefined` when its database couldn't be asked. */
  readonly numbers: Numbers | undefined
}

type Looking = Pick<GuardOptions, 'paths' | 'contains' | 'answer' | 'free'>

const MIB = 1024 * 1024

/** Looks at one host as customers and its shop use it: pages by its address, the database, the room for files. Writes nothing. */
export class HostWatch {
  readonly #host: Host
  readonly #site: URL | undefined
  readonly #options: Looking
  #schema: Layout | undefined
  readonly #told = new Set<string>()

  constructor(host: Host, { site }: World, options: Looking) {
    this.#host = host
    this.#site = site ?? host.site
    this.#options = options
  }

  /** What a look asks: `site`, `database`, `storage`. */
  get watched(): readonly Fault['what'][] {
    const { site, database, files } = this.#host
    return [
      ...(site === undefined ? [] : (['site'] as const)),
      ...(database === undefined ? [] : (['database'] as const)),
      ...(files === undefined ? [] : (['storage'] as const)),
    ]
  }

  /** `anyPage`: whatever its site answers is right, as long as it does. */
  async look(run: StepRun, anyPage = false): Promise<HostSight> {
    const [pages, database, storage] = await Promise.all([
      Promise.all(this.#pages().map((path) => this.#page(path, anyPage, run))),
      this.#database(run),
      this.#storage(run),
    ])
    const parts = [...pages, database, storage].filter((part) => part !== undefined)
    return {
      faults: parts.flatMap((part) => ('fault' in part ? part.fault : [])),
      answered: parts.some((part) => !('fault' in part) || !part.fault.silent),
      numbers: database?.numbers,
    }
  }

  #pages(): readonly string[] {
    return this.#host.site === undefined ? [] : this.#options.paths
  }

  async #page(path: string, anyPage: boolean, run: StepRun): Promise<Part> {
    const { contains, answer: timeoutMs } = this.#options
    const url = new URL(path, this.#site)
    try {
      const answer = await ask({ url, at: this.#host.site, method: 'GET', headers: {}, body: undefined, timeoutMs }, run.signal)
      if (anyPage) return {}
      if (answer.status >= 400) return fault('site', `${path} answers with status ${answer.status}`)
      if (contains === undefined || answer.status >= 300 || answer.body.includes(contains)) return {}
      return fault('site', `${path} no longer contains "${contains}"`)
    } catch (error) {
      run.signal.throwIfAborted()
      const says = error instanceof MigrateError && error.cause !== undefined ? error.cause : error
      return fault('site', `${path} gives no answer (${messageOf(says)})`, true)
    }
  }

  async #database(run: StepRun): Promise<(Part & { readonly numbers?: Numbers }) | undefined> {
    const { database } = this.#host
    if (database === undefined) return undefined
    try {
      return await limited(run, this.#options.answer, async () => {
        const schema = this.#schema ?? (await layoutOf(database))
        this.#schema = schema
        const numbers = { schema, states: await database.identities(schema) }
        const why = await this.#whyNoRows(database, run)
        return why === undefined ? { numbers } : { ...fault('database', `the database takes no orders: ${why}`), numbers }
      })
    } catch (error) {
      run.signal.throwIfAborted()
      const silent = error instanceof MigrateError && SILENT.has(error.code)
      return fault('database', `the database can't be asked (${messageOf(error)})`, silent)
    }
  }

  async #whyNoRows(database: Database, run: StepRun): Promise<string | undefined> {
    try {
      const why = await database.refusesRows?.()
      if (why !== undefined) return why
      const standing = await database.closing?.look()
      return standing?.closed === true ? 'it is closed to writers' : undefined
    } catch (error) {
      // The connection broke: that it can't be asked is the news.
      if (error instanceof MigrateError && SILENT.has(error.code)) throw error
      run.signal.throwIfAborted()
      this.#noteOnce('rows', `Whether the ${database.label} takes rows can't be asked (${messageOf(error)}).`, run)
      return undefined
    }
  }

  /** Its files' server being silent is nothing to customers: only what it says counts. */
  async #storage(run: StepRun): Promise<Part | undefined> {
    const { files, side } = this.#host
    if (files === undefined) return undefined
    try {
      const free = await limited(run, this.#options.answer, () => files.freeBytes())
      if (free === null || free >= this.#options.free * MIB) return {}
      return fault('storage', `its disk has ${formatBytes(free)} left`)
    } catch (error) {
      run.signal.throwIfAborted()
      this.#noteOnce('storage', `The room on the ${side} host's disk can't be asked (${messageOf(error)}).`, run)
      return undefined
    }
  }

  #noteOnce(key: string, message: string, run: StepRun): void {
    if (this.#told.has(key)) return
    this.#told.add(key)
    run.emit({ event: 'note', message })
  }
}

type Part = { readonly fault?: never } | { readonly fault: Fault }

const fault = (what: Fault['what'], message: string, silent = false): { readonly fault: Fault } => ({
  fault: { what, message, silent },
})

/** Errors of a database (databases/port.ts) that tell of no answer. */
const SILENT: ReadonlySet<string> = new Set(['database-unreachable', 'database-connection-lost', 'database-timeout', 'no-answer'])
