import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import type { ClosingPower } from '../databases/closing-port.ts'
import type { Step, StepRun } from '../run/step.ts'
import { databaseOf, missingDatabase } from './database-parts.ts'
import type { StepContext, World } from './world.ts'

const changeSchema = z
  .object({
    kind: z.literal('database'),
    graceMs: z.number(),
    /** How the database stood, as it says it itself. */
    before: z.string(),
    /** The first statement, for people. */
    statement: z.string(),
  })
  .readonly()
type Change = z.infer<typeof changeSchema>

/** What is being closed, kept from before the effect until it is whole: a database may look closed while its old sessions go on. */
const CLOSING_KEY = 'close-old'
const closingSchema = changeSchema.nullish()

/** The old database read-only for the shop (databases/closing-port.ts). */
export const closeDatabase = (options: { readonly grace: number }, { id, world }: StepContext): Step<Change> => ({
  id,
  title: "Close the old shop's database to writers",
  phase: 'settle',
  change: changeSchema,
  check: () => check(id, world),
  plan: async (run) => {
    const { closed, before, statement } = await powerOf(world).look()
    const begun = closingSchema.parse(run.recall(CLOSING_KEY)) ?? undefined
    if (begun !== undefined) return [{ ...begun, graceMs: options.grace }]
    return closed ? [] : [{ kind: 'database', graceMs: options.grace, before, statement }]
  },
  apply: async (change, run) => {
    await run.remember(CLOSING_KEY, change)
    await powerOf(world).close(change.graceMs)
    await run.remember(CLOSING_KEY, null)
  },
  verify: async () => ((await powerOf(world).look()).closed ? [] : [notClosed(world)]),
  undo: (change, run) => undo(world, change, run),
  describe: ({ statement, graceMs }) =>
    `close the old shop's database to writers, what is being written ended within ${formatDuration(graceMs)}: ${statement}`,
})

async function check(id: string, { old }: World): Promise<readonly Finding[]> {
  if (old.database === undefined) return [missingDatabase(id, old)]
  if (old.database.closing !== undefined) return await old.database.closing.missing()
  return [
    {
      severity: 'error',
      code: 'database-not-closable',
      message: `The ${old.database.label} can't be closed to writers by migrate.`,
      hint: 'Close the old site by its maintenance file instead: close-old: { with: maintenance, file: … }.',
      ending: 'usage',
    },
  ]
}

function powerOf({ old }: World): ClosingPower {
  const { closing, label } = databaseOf(old)
  if (closing !== undefined) return closing
  throw new MigrateError('database-not-closable', `The ${label} can't be closed to writers by migrate. Nothing was changed.`, {
    hint: 'Close the old site by its maintenance file instead: close-old: { with: maintenance, file: … }.',
  })
}

async function undo(world: World, change: Change, run: StepRun): Promise<void> {
  const power = powerOf(world)
  await power.open(change.before)
  const { before } = await power.look()
  if (before !== change.before) {
    throw new MigrateError(
      'old-not-opened',
      `The ${databaseOf(world.old).label} was to be opened to writers again, but doesn't stand as it did before.`,
      { hint: 'Somebody else may have closed it meanwhile. Look at it, then run again.' },
    )
  }
  await run.remember(CLOSING_KEY, null)
}

const notClosed = (world: World): Finding => ({
  severity: 'error',
  code: 'old-not-closed',
  message: `The ${databaseOf(world.old).label} still takes writers when it is looked at again.`,
  hint: 'Run again; if it stays, somebody else opens it: look at the old host’s panel.',
})
