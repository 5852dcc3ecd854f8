import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Json } from '../../src/base/json.ts'
import { Redactor } from '../../src/base/secret.ts'
import type { RunResult } from '../../src/run/command.ts'
import type { RunEvent } from '../../src/run/events.ts'
import { type RunOptions, runSequence } from '../../src/run/runner.ts'
import type { Sequence } from '../../src/run/step.ts'
import { rollback } from '../../src/run/undo.ts'
import { atRest } from '../fakes/clock.ts'
import { Life } from './life.ts'

/** A world of fakes, and the steps that a process runs on it. */
export interface Scenario<W> {
  readonly build: () => Promise<W>
  /** Steps over ports as `life` sees them; called anew for each process. */
  readonly sequence: (world: W, life: Life) => Sequence
  /** All that must be the same in the end. */
  readonly state: (world: W) => Json
  readonly options?: Partial<RunOptions>
  /** What the operating system does for a dead process: closes what it held open. */
  readonly bury?: () => void
}

export interface Process {
  /** `undefined`: it was killed. */
  readonly result: RunResult | undefined
  readonly points: readonly string[]
  /** For each point the step that was last heard of. */
  readonly steps: readonly string[]
  readonly events: readonly RunEvent[]
}

/** A world with a state directory, on which one process after the other works. */
export class Simulation<W> {
  readonly world: W
  readonly directory: string
  readonly #scenario: Scenario<W>
  #now: number | undefined

  private constructor(scenario: Scenario<W>, world: W, directory: string) {
    this.#scenario = scenario
    this.world = world
    this.directory = directory
  }

  static async begin<W>(scenario: Scenario<W>): Promise<Simulation<W>> {
    // In memory where the system has that: fsync on a disk would be most of the time.
    const root = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
    return new Simulation(scenario, await scenario.build(), await mkdtemp(join(root, 'migrate-simulation-')))
  }

  get state(): Json {
    return this.#scenario.state(this.world)
  }

  run(killAt?: number): Promise<Process> {
    return this.#live(runSequence, killAt)
  }

  rollback(killAt?: number): Promise<Process> {
    return this.#live(rollback, killAt)
  }

  async end(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true })
  }

  async #live(command: (options: RunOptions) => Promise<RunResult>, killAt: number | undefined): Promise<Process> {
    const life = new Life(this.#now, killAt)
    const events: RunEvent[] = []
    const result = await Promise.race([
      command({
        name: 'simulation',
        directory: join(this.directory, 'state'),
        sequence: this.#scenario.sequence(this.world, life),
        binding: { playbook: 'simulation', endpoints: {} },
        clock: life.clock,
        sink: (event) => {
          if (life.dead) return
          events.push(event)
          if (event.step !== null) life.step = event.step
        },
        redactor: new Redactor(),
        effects: life.effects,
        holder: life.holder,
        newId: () => 'run-1',
        ...this.#scenario.options,
      }),
      life.died.then(() => undefined),
    ])
    // What was under way in the world when the process died comes to its end before the next one looks.
    await atRest()
    if (life.dead) this.#scenario.bury?.()
    this.#now = life.clock.now()
    life.clock.stop()
    return { result, points: life.points, steps: life.steps, events }
  }
}
