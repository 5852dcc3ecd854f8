import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { MigrateError } from '../../src/base/errors.ts'
import { Redactor } from '../../src/base/secret.ts'
import type { RunEvent } from '../../src/run/events.ts'
import type { RunOptions } from '../../src/run/runner.ts'
import type { Phase, Sequence, Step, StepRun } from '../../src/run/step.ts'
import { FakeClock } from '../fakes/clock.ts'

/** A tiny world: names with values, and every write counted. */
export class Shelf {
  readonly values = new Map<string, string>()
  readonly writes: string[] = []

  async read(name: string): Promise<string | undefined> {
    return this.values.get(name)
  }

  async put(name: string, value: string | null): Promise<void> {
    this.writes.push(`${name}=${value ?? '(gone)'}`)
    if (value === null) this.values.delete(name)
    else this.values.set(name, value)
  }

  get contents(): Record<string, string> {
    return Object.fromEntries([...this.values].sort())
  }
}

const putSchema = z.object({ name: z.string(), before: z.string().nullable(), after: z.string() })
export type Put = z.infer<typeof putSchema>

export interface PutStepOptions {
  readonly id: string
  readonly phase?: Phase
  readonly puts: Readonly<Record<string, string>>
  readonly parallel?: number
  readonly timeoutMs?: number
  /** Runs before the write of `apply`. */
  readonly before?: (change: Put, run: StepRun) => Promise<void>
  readonly overrides?: Partial<Step<Put>>
}

/** A step that puts values on the shelf, with all that the contract asks for. */
export function putStep(shelf: Shelf, options: PutStepOptions): Step<Put> {
  const { id, puts, parallel, timeoutMs } = options
  return {
    id,
    title: `Put ${Object.keys(puts).join(' and ')}`,
    phase: options.phase ?? 'prepare',
    change: putSchema,
    ...(parallel === undefined ? {} : { parallel }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    check: async () => [],
    plan: async () => {
      const changes: Put[] = []
      for (const [name, after] of Object.entries(puts)) {
        const before = (await shelf.read(name)) ?? null
        if (before !== after) changes.push({ name, before, after })
      }
      return changes
    },
    apply: async (change, run) => {
      await options.before?.(change, run)
      await shelf.put(change.name, change.after)
    },
    verify: async () => [],
    undo: async (change) => {
      if ((await shelf.read(change.name)) !== (change.before ?? undefined)) await shelf.put(change.name, change.before)
      if ((await shelf.read(change.name)) !== (change.before ?? undefined)) throw new MigrateError('put-back-failed', change.name)
    },
    describe: (change) => `put ${change.name}=${change.after}`,
    ...options.overrides,
  }
}

export const emptyFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'migrate-run-'))

export interface Told {
  readonly events: RunEvent[]
  readonly options: RunOptions
}

/** Options for a run over a sequence in a folder of its own, and the events that it will tell. */
export async function runOver(sequence: Sequence, more: Partial<RunOptions> = {}): Promise<Told> {
  const events: RunEvent[] = []
  const options: RunOptions = {
    name: 'shelf',
    directory: join(await emptyFolder(), 'state'),
    sequence,
    binding: {
      playbook: { name: 'shelf', steps: sequence.map((group) => group.map((step) => step.id)) },
      endpoints: { old: 'a', new: 'b' },
    },
    clock: new FakeClock(),
    sink: (event) => events.push(event),
    redactor: new Redactor(),
    ...more,
  }
  return { events, options }
}

/** `started copy`, `planned put a=1`, `failed copy no-room`: the story that the events tell, one line each. */
export const storyOf = (events: readonly RunEvent[]): readonly string[] =>
  events.flatMap((event) => {
    switch (event.event) {
      case 'change':
        return [`${event.phase} ${event.summary}`]
      case 'failed':
        return [`failed ${event.step ?? 'run'} ${event.code}`]
      case 'finding':
        return event.code === 'no-way-back' ? [] : [`${event.severity} ${event.code}`]
      case 'finished':
        return [`finished ${event.outcome} ${event.exit}`]
      case 'done':
        return [`${event.skipped === true ? 'skipped' : 'done'} ${event.step}`]
      case 'waiting':
        return [`waiting ${event.step}`]
      case 'started':
        return event.step === null ? [] : [`started ${event.step}`]
      default:
        return []
    }
  })
