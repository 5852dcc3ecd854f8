import { resolve } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { underStop } from '../base/stop.ts'
import { bindingOf, buildSequence, buildWorld, loadPlaybook, type Playbook } from '../playbook/index.ts'
import type { CommandOptions } from '../run/command.ts'
import { readHistory } from '../run/state.ts'
import type { World } from '../steps/world.ts'
import { forPeople } from './display/commands.ts'
import type { Display } from './display/display.ts'
import { type Flags, stateDirectory } from './flags.ts'
import { checkHooks, hooksOf } from './hooks.ts'
import type { Stops } from './signals.ts'

export interface Prepared {
  readonly playbook: Playbook
  readonly world: World
  readonly options: CommandOptions
  readonly display: Display
}

export interface Surroundings {
  readonly clock: Clock
  readonly env: Readonly<Record<string, string | undefined>>
  readonly flags: Flags
  readonly display: Display
  readonly stops: Stops
}

/** Playbook, hosts and steps, ready to be run; nothing has been written. The caller closes the world. */
export async function prepare(file: string, surroundings: Surroundings): Promise<Prepared> {
  const { env, flags } = surroundings
  const playbook = await loadPlaybook(file, env)
  return await prepareFrom(playbook, file, stateDirectory(flags, resolve(file), playbook.name), surroundings)
}

/** The same for a playbook that was read, kept in `directory`. */
export async function prepareFrom(
  playbook: Playbook,
  file: string,
  directory: string,
  { clock, flags, display, stops }: Surroundings,
): Promise<Prepared> {
  display.checking(`asking both hosts of ${playbook.name}`)
  const world = await buildWorld(playbook, { clock })
  const sequence = buildSequence(playbook, world)
  const { history } = await readHistory(directory)
  const binding = await underStop(stops.interrupt, () =>
    bindingOf(playbook, world, history.run?.binding.endpoints, (key) => history.fact(key)),
  )
  stops.interrupt.throwIfAborted()
  display.begin({ name: playbook.name, playbook: file, sequence })
  const options: CommandOptions = {
    name: playbook.name,
    directory,
    sequence,
    binding,
    clock,
    sink: display.sink,
    redactor: playbook.redactor,
    yes: flags.yes ?? false,
    ask: display.ask,
    interrupt: stops.interrupt,
    abort: stops.abort,
    hooks: hooksOf(world, forPeople(file, flags)),
    checking: ({ title }) => display.checking(title),
    checkHooks: (signal) => checkHooks(world, clock, signal),
  }
  return { playbook, world, options, display }
}
