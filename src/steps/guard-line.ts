import type { Resolver } from '../dns/port.ts'
import type { StepRun } from '../run/step.ts'
import type { World } from './world.ts'

/** Statuses of an answer (dns/port.ts) that mean that none came. */
const NO_ANSWER: ReadonlySet<string> = new Set(['TIMEOUT', 'UNREACHABLE'])

/** Tells by name servers, which have nothing to do with either host, whether our own line is up. */
export class OwnLine {
  readonly #world: World
  readonly #given: readonly string[] | undefined
  #servers: readonly Resolver[] = []
  /** They answered before: that they don't any more means something. */
  #knows = false

  constructor(world: World, given: readonly string[] | undefined) {
    this.#world = world
    this.#given = given
  }

  async begin(run: StepRun): Promise<void> {
    this.#servers = this.#given === undefined ? await this.#ofTheZone(run) : this.#world.resolvers(this.#given)
    this.#knows = await this.#hears(run)
  }

  /** `unknown` where nobody is there to ask, or nobody ever answered from here. */
  async look(run: StepRun): Promise<'up' | 'down' | 'unknown'> {
    if (await this.#hears(run)) {
      this.#knows = true
      return 'up'
    }
    return this.#knows ? 'down' : 'unknown'
  }

  async #ofTheZone(run: StepRun): Promise<readonly Resolver[]> {
    try {
      return (await this.#world.dns?.authoritative()) ?? []
    } catch {
      // Who they are can't be found out from here: then there is nobody to ask.
      run.signal.throwIfAborted()
      return []
    }
  }

  async #hears(run: StepRun): Promise<boolean> {
    const name = this.#world.dns?.records[0]?.name ?? this.#world.site?.hostname
    if (name === undefined) return false
    const heard = await Promise.all(
      this.#servers.map(async (server) => {
        const { status } = await server.query(name, 'A', run.signal)
        return !NO_ANSWER.has(status)
      }),
    )
    run.signal.throwIfAborted()
    return heard.includes(true)
  }
}
