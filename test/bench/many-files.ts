import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { formatBytes, formatCount } from '../../src/base/units.ts'
import { RunHistory } from '../../src/run/history.ts'
import { openJournal } from '../../src/run/journal.ts'
import type { Step } from '../../src/run/step.ts'
import { stepKinds } from '../../src/steps/index.ts'
import { GeneratedFiles } from '../fakes/generated-files.ts'
import { sideBySide, TestRun, testContext, testWorld } from '../fakes/step-run.ts'

/** Plans and carries as a run does it: with a journal, and with what it holds of it. */
async function carried(step: Step, run: TestRun): Promise<void> {
  const { directory, clock } = run
  const journal = await openJournal({ directory, clock, fence: { number: 1, assertHeld: async () => undefined } }, undefined)
  const history = new RunHistory()
  for (const change of await step.plan(run)) {
    const summary = step.describe(change)
    const { entry, reread } = await journal.append({ type: 'change-begun', step: step.id, change, summary, undoable: true })
    history.add(entry, reread)
    await step.apply(change, run)
  }
  await journal.close()
  console.log(`       of them ${formatCount(history.changes.length)} changes in the journal`)
}

export interface ManyFilesOptions {
  readonly files?: number
  readonly print?: (line: string) => void
}

/** How much memory each step takes for a great many files, and how long, with hosts that cost nothing themselves. */
export async function benchManyFiles({ files = 1_000_000, print = console.log }: ManyFilesOptions = {}): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'migrate-many-'))
  const [old, fresh] = [new GeneratedFiles('generated://old', files), new GeneratedFiles('generated://new', 0)]
  const world = testWorld({ old: { files: old }, new: { files: fresh } })
  const run = new TestRun(directory)
  // Every file would be an event here; a display keeps the last one.
  run.progress = () => undefined
  const make = (name: string): Step => {
    const kind = stepKinds.find((each) => each.name === name)
    if (kind === undefined) throw new Error(`there is no kind of step ${name}`)
    return kind.create(kind.options.parse({}), testContext(world, name))
  }
  const apply = async (step: Step): Promise<void> => {
    for (const change of await step.plan(run)) await step.apply(change, run)
  }
  let most = 0
  const measured = async (what: string, work: () => Promise<void>): Promise<void> => {
    const begun = systemClock.monotonic()
    let peak = 0
    const look = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage.rss())
    }, 50)
    await work()
    clearInterval(look)
    most = Math.max(most, peak)
    const seconds = ((systemClock.monotonic() - begun) / 1000).toFixed(1)
    print(`files: ${what} of ${formatCount(files)} files: ${seconds} s, at most ${formatBytes(peak)} of memory`)
  }
  try {
    await measured('snapshot and restore side by side', () =>
      sideBySide(
        run,
        () => apply(make('snapshot-files')),
        () => apply(make('restore-files')),
      ),
    )
    fresh.has = files
    await measured('the restore’s proof', async () => void (await make('restore-files').verify(run)))
    await measured('a plan that finds nothing', async () => void (await make('restore-files').plan(run)))
    await measured('a pass of carry-files that finds nothing', async () => void (await make('carry-files').plan(run)))
    old.edition = 1
    await measured('a pass of carry-files that finds every file changed', () => carried(make('carry-files'), run))
    fresh.edition = 1
    fresh.damaged = true
    await measured('a proof that finds every one of them wrong', async () => void (await make('carry-files').verify(run)))
    await measured('a plan that mends every one of them', async () => void (await make('carry-files').plan(run)))
    await measured('a restore’s proof that finds every one wrong', async () => void (await make('restore-files').verify(run)))
    return most
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
