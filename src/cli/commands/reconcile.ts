import { type Command, InvalidArgumentError } from 'commander'
import { MigrateError } from '../../base/errors.ts'
import { parseDuration } from '../../base/units.ts'
import { type Flags, withFlags } from '../flags.ts'
import type { Finish, Io } from '../io.ts'

export interface ReconcileFlags extends Flags {
  readonly dryRun?: boolean
  readonly resolve?: boolean
  readonly decisions?: string
  readonly lookup?: string
  readonly follow?: boolean
  /** Milliseconds. */
  readonly quiet?: number
}

/** `migrate reconcile`: carries over what was still written on the old host. */
export function addReconcile(program: Command, io: Io, finish: Finish): void {
  withFlags(program.command('reconcile <playbook>').description('carry over what was still written on the old host'))
    .argument('[key]', 'the key of the row for --lookup; of several columns with commas between: 10,1')
    .option('--dry-run', 'list what would be carried over, writing nothing')
    .option('--follow', 'carry rows over as they are born, until none comes any more, then compare everything')
    .option('--quiet <duration>', 'how long none must have come for that, such as 30m (as the playbook’s watch)', duration)
    .option('--resolve', 'ask about each parked row and file, then carry out what was decided')
    .option(
      '--decisions <file>',
      'the same from a YAML list of { table, key, take: old | new | merge | skip } and { file, take: old | new | both | skip }',
    )
    .option('--lookup <table>', 'say what became of one row: --lookup Orders 10499')
    .action(async (playbook: string, key: string | undefined, flags: ReconcileFlags) => {
      refuseMixed(flags, key)
      const { lookup } = flags
      if (lookup !== undefined && key !== undefined) {
        const { showLookup } = await import('../lookup.ts')
        finish(await showLookup(playbook, lookup, key, { io, flags }))
        return
      }
      const { reconcile } = await import('../reconcile.ts')
      finish(await reconcile(playbook, flags, io))
    })
}

/** Options that don't go together, before anything is read. */
function refuseMixed(flags: ReconcileFlags, key: string | undefined): void {
  const asked = [
    ...(flags.dryRun === true ? ['--dry-run'] : []),
    ...(flags.follow === true ? ['--follow'] : []),
    ...(flags.resolve === true ? ['--resolve'] : []),
    ...(flags.decisions === undefined ? [] : ['--decisions']),
    ...(flags.lookup === undefined ? [] : ['--lookup']),
  ]
  if (asked.length > 1) throw usage(`${asked.join(' and ')} don't go together.`, 'Give one of them.')
  if (flags.quiet !== undefined && flags.follow !== true) throw usage('--quiet goes with --follow only.', 'Add --follow.')
  if (flags.lookup !== undefined && key === undefined)
    throw usage(`--lookup ${flags.lookup} says no row.`, 'Write the table and its key: --lookup Orders 10499.')
  if (flags.lookup === undefined && key !== undefined)
    throw usage(`${key} is one argument too many.`, 'To ask about one row: --lookup TABLE KEY.')
}

function duration(text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined && ms > 0) return ms
  throw new InvalidArgumentError('It must be a duration such as 30s, 5m or 2h.')
}

const usage = (message: string, hint: string): MigrateError => new MigrateError('usage', message, { ending: 'usage', hint })
