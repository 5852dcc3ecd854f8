import { open, readFile, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { playbookWords, withCommands } from '../base/commands.ts'
import { codeOf } from '../base/errors.ts'
import { REPORT_NAME, reportOf } from '../report/index.ts'
import type { Step, StepRun } from '../run/step.ts'
import type { StepContext, StepKind } from './world.ts'

const optionsSchema = z.strictObject({}).prefault({})
const changeSchema = z.object({ write: z.literal(REPORT_NAME) }).readonly()
type Change = z.infer<typeof changeSchema>

export const reportKind: StepKind<z.infer<typeof optionsSchema>> = {
  name: 'report',
  summary: "Write the time log, the figures and a post-mortem's frame into the run's folder",
  options: optionsSchema,
  create: (_options, context: StepContext): Step<Change> => {
    const { id, world } = context
    return {
      id,
      title: 'Write the report',
      phase: 'settle',
      change: changeSchema,
      check: async () => [],
      plan: async (run) => ((await standing(run)) === (await current(context, run)) ? [] : [{ write: REPORT_NAME }]),
      apply: async (_change, run) => {
        const text = await current(context, run)
        await world.effects('report: write', () => writeWhole(join(run.directory, REPORT_NAME), text))
      },
      verify: async (run) => [
        { severity: 'info', code: 'report-written', message: `The report is in ${join(run.directory, REPORT_NAME)}.` },
      ],
      undo: async (_change, run) => world.effects('report: remove', () => rm(join(run.directory, REPORT_NAME), { force: true })),
      describe: () => `write ${REPORT_NAME} into the run's folder`,
    }
  },
}

/** Its commands can be typed in the playbook's folder. */
async function current({ id, world, playbookDirectory, playbookName }: StepContext, run: StepRun): Promise<string> {
  const isUsualPlace = run.directory === resolve(playbookDirectory, '.migrate', world.name)
  const words = playbookWords(playbookName, { state: isUsualPlace ? undefined : run.directory })
  return withCommands((await reportOf(run.directory, id)) ?? '', words)
}

async function standing(run: StepRun): Promise<string | undefined> {
  try {
    return await readFile(join(run.directory, REPORT_NAME), 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Under another name first: whoever reads it sees the old report or the new one, never half of it. */
async function writeWhole(path: string, text: string): Promise<void> {
  const draft = `${path}.part`
  const file = await open(draft, 'w')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
}
