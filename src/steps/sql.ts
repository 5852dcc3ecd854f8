import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { z } from 'zod'
import { type Finding, MigrateError, messageOf } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import type { Step, StepRun } from '../run/step.ts'
import { databaseOf, missingDatabase } from './database-parts.ts'
import type { StepContext, StepKind } from './world.ts'

const statementsSchema = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)])

const optionsSchema = z
  .strictObject({
    on: z.enum(['old', 'new']).describe('The host whose database runs them'),
    statements: statementsSchema
      .optional()
      .describe('One statement or several, run in one transaction where the engine allows it'),
    file: z.string().min(1).optional().describe('A file of statements, beside the playbook; a line that says only GO ends one'),
    repeatable: z.boolean().default(false).describe('May be run again when it is not known whether it took effect'),
    undo: statementsSchema.optional().describe('Takes the statements back in a rollback'),
  })
  .refine((options) => (options.statements === undefined) !== (options.file === undefined), {
    error: 'give either statements or file',
    path: ['statements'],
  })
type Options = z.infer<typeof optionsSchema>

const changeSchema = z.object({
  on: z.enum(['old', 'new']),
  statements: z.array(z.string()),
  undo: z.array(z.string()).nullable(),
})
type Change = z.infer<typeof changeSchema>

export const sqlKind: StepKind<Options> = {
  name: 'sql',
  summary: "Run SQL statements on one host's database",
  options: optionsSchema,
  create: sqlStep,
}

/**
 * Statements of the user's own. The database can't be asked whether they took effect, so the journal is: once applied they aren't run
 * again, and when an earlier process was cut off in them, a person decides, unless they are declared `repeatable`.
 */
function sqlStep(options: Options, { id, world, playbookDirectory }: StepContext): Step<Change> {
  const host = world[options.on]
  let interrupted = false
  const load = async (): Promise<Change> => ({
    on: options.on,
    statements:
      options.file === undefined ? listOf(options.statements) : await readStatements(resolve(playbookDirectory, options.file)),
    undo: options.undo === undefined ? null : listOf(options.undo),
  })
  const step: Step<Change> = {
    id,
    title: `Run SQL on the ${options.on} host's database`,
    phase: 'settle',
    change: changeSchema,
    check: async () => {
      const missing = host.database === undefined ? [missingDatabase(id, host)] : []
      return [...missing, ...(await load().then(() => [], fileFinding))]
    },
    plan: async (run) => {
      const change = await load()
      const history = run.history(change)
      interrupted = history === 'begun'
      return history === 'applied' ? [] : [change]
    },
    apply: async (change, run) => {
      if (interrupted && !options.repeatable && !(await runAgain(id, change, run))) return
      interrupted = false
      const rows = await databaseOf(host).runStatements(change.statements)
      run.emit({ event: 'note', message: `${id}: ${rows.map((count) => `${formatCount(count)} rows`).join(', ')}` })
    },
    verify: async () => [],
    describe: (change) => `on the ${change.on} host: ${change.statements.map(oneLine).join('; ')}`,
  }
  if (options.undo === undefined) return step
  return {
    ...step,
    undo: async (change) => {
      if (change.undo !== null) await databaseOf(host).runStatements(change.undo)
    },
  }
}

const listOf = (statements: string | readonly string[] | undefined): string[] =>
  typeof statements === 'string' ? [statements] : [...(statements ?? [])]

async function readStatements(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new MigrateError('sql-file-unreadable', `The file of statements ${file} can't be read: ${messageOf(error)}.`, {
      hint: "The path starts at the playbook's folder.",
      cause: error,
    })
  })
  const statements = text.split(/^[ \t]*GO[ \t]*\r?$/im).map((statement) => statement.trim())
  return statements.filter((statement) => statement !== '')
}

const fileFinding = (error: unknown): readonly Finding[] => [
  {
    severity: 'error',
    code: error instanceof MigrateError ? error.code : 'unexpected',
    message: messageOf(error),
    hint: error instanceof MigrateError ? error.hint : undefined,
  },
]

const runAgain = (id: string, change: Change, run: StepRun): Promise<boolean> =>
  run.confirm(
    `${id} was cut off while it ran ${change.statements.length} statements on the ${change.on} host's database; they may have taken effect. Run them again?`,
    `They are: ${change.statements.map(oneLine).join('; ')}. Say no if they took effect: the run then goes on after them.`,
  )

const oneLine = (sql: string): string => {
  const line = sql.replace(/\s+/g, ' ').trim()
  return line.length > 120 ? `${line.slice(0, 120)} …` : line
}
