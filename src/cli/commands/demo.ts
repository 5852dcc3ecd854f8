import { type Command, InvalidArgumentError } from 'commander'
import type { DemoFlags } from '../demo.ts'
import { withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'

/** `migrate demo`: a small shop on two embedded hosts with customers buying, moved live. */
export function addDemo(program: Command, io: Io, finish: Finish): void {
  withFlags(program.command('demo').description('a small shop on two embedded hosts with customers buying, moved live'))
    .option('--customers <count>', 'how many customers buy at the same time (60)', wholeNumber)
    .option('--seed <number>', 'another number, other shoppers', wholeNumber)
    .action(async (flags: DemoFlags) => {
      const { showDemo } = await import('../demo.ts')
      finish(await showDemo({ io, flags }))
    })
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number, 1 or more.')
}
