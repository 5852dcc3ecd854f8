import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'

/** Flags that every command has. */
export interface Flags {
  readonly json?: boolean
  readonly yes?: boolean
  readonly state?: string
  readonly verbose?: boolean
  readonly plain?: boolean
}

export const withFlags = (command: Command): Command =>
  command
    .option('--json', 'one event a line on stdout, and nothing else there')
    .option('--yes', 'answer every question with yes, but for those that only a person may answer')
    .option('--state <dir>', 'keep the run here (default: .migrate/NAME beside the playbook)')
    .option('--verbose', 'tell more')
    .option('--plain', 'lines, no live screen: for screen readers; questions are asked all the same')

/** Where a run is kept, absolute. */
export const stateDirectory = (flags: Flags, playbook: string, name: string): string =>
  flags.state === undefined ? resolve(dirname(playbook), '.migrate', name) : resolve(flags.state)
