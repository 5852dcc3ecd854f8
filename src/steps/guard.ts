import { z } from 'zod'
import { MigrateError } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import type { Step, StepRun } from '../run/step.ts'
import { recallCutover } from './dns-change.ts'
import { guardChecks } from './guard-check.ts'
import { decide, decisionOf, goesBack } from './guard-decision.ts'
import { type GuardOptions, guardOptionsSchema } from './guard-options.ts'
import { HostsWatch } from './guard-sight.ts'
import { Spell, type Standing } from './guard-spell.ts'
import { GuardTelling } from './guard-telling.ts'
import type { StepContext, StepKind } from './world.ts'

const WATCH = 'watch-propagation'

const changeSchema = z
  .object({ kind: z.literal('guard'), watched: z.array(z.string()).readonly(), failback: z.string() })
  .readonly()
type Change = z.infer<typeof changeSchema>

export const guardKind: StepKind<GuardOptions> = {
  name: 'guard',
  summary: 'Watches the new host after the cutover; when it fails for long, offers the way back, or goes back by itself.',
  options: guardOptionsSchema,
  create: (options, context: StepContext): Step<Change> => ({
    id: context.id,
    title: 'Guard the new host',
    phase: 'settle',
    change: changeSchema,
    follows: WATCH,
    undoneLast: true,
    check: (run) => guardChecks(options, context, run),
    plan: async (run) =>
      run.observing === undefined && isGuarded(run, context.id) ? [] : [{ kind: 'guard', ...plannedBy(options, context) }],
    apply: async (_change, run) => {
      await guard(options, context, run)
      await run.remember(guardedKey(context.id), recallCutover(run)?.at ?? null)
    },
    verify: async () => [],
    // Looking changes nothing; what was decided stays decided.
    undo: async () => undefined,
    describe: ({ watched, failback }) =>
      `watch ${watched.join(', ')} of the new host; failing for ${formatDuration(options.after)}: ${WORDS[failback] ?? failback}`,
  }),
}

const WORDS: Readonly<Record<string, string>> = {
  offer: 'a person is asked whether to go back',
  auto: 'back to the old host, by itself',
  off: 'it is told',
}

const guardedKey = (id: string): string => `${id} done`

/** This very cutover was guarded to the end. */
const isGuarded = (run: StepRun, id: string): boolean => {
  const at = recallCutover(run)?.at
  return at !== undefined && run.recall(guardedKey(id)) === at && decisionOf(run)?.decision !== 'back'
}

const plannedBy = (options: GuardOptions, { world }: StepContext): Omit<Change, 'kind'> => ({
  watched: new HostsWatch(options, world, false).watched,
  failback: options.failback,
})

/** So long without a watch beside it. */
const USUAL_MS = 30 * 60_000
/** Whether the watch beside it has ended is asked so often. */
const BESIDE_MS = 1000
/** Between two looks, so many times `every` count at most. */
const GAP_LOOKS = 3

async function guard(options: GuardOptions, context: StepContext, run: StepRun): Promise<void> {
  const decided = decisionOf(run)
  if (decided?.decision === 'back' && run.observing === undefined) throw goesBack(decided)
  const relayed = context.others().some(({ id }) => id.startsWith('relay'))
  const hosts = new HostsWatch(options, context.world, relayed)
  const { looks, after: afterMs, well: wellMs, every } = options
  const spell = new Spell({ looks, afterMs, wellMs, gapMs: GAP_LOOKS * every + options.answer })
  const telling = new GuardTelling(options, hosts.watched)
  const begun = run.clock.monotonic()
  const wasBeside = run.isFollowing()
  let undecided: string | undefined
  await hosts.begin(run)
  for (;;) {
    const view = await hosts.look(run)
    const standing = spell.add(run.clock.monotonic(), view.look)
    telling.show(run, view, standing)
    if (standing.state === 'failed' && view.look === 'failing' && run.observing === undefined) {
      const failure = { reason: telling.reason, numbers: hosts.numbers }
      undecided = await decide(run, failure, { failback: options.failback, old: hosts.old, relayed })
      telling.undecided(run, undecided)
    } else undecided = undefined
    if (isOver(options, run, standing, { begun, wasBeside })) {
      if (undecided === undefined || options.failback === 'off') return
      throw notDecided(`${telling.reason}. ${undecided}`)
    }
    await rest(every, run)
  }
}

/** It is for a person to know before anything goes on. */
const notDecided = (message: string): MigrateError =>
  new MigrateError('failback-not-possible', `${message}.`, {
    ending: 'waiting',
    hint: 'Mend either host, then run again. To go back all the same: migrate rollback PLAYBOOK',
  })

interface Begin {
  /** Milliseconds, monotonic. */
  readonly begun: number
  /** A watch was at work beside it. */
  readonly wasBeside: boolean
}

/** Never in the middle of a spell that may still come to something. */
function isOver(options: GuardOptions, run: StepRun, { state }: Standing, { begun, wasBeside }: Begin): boolean {
  if (run.isFollowing() || state === 'failing') return false
  const least = options.for ?? (wasBeside ? 0 : USUAL_MS)
  const cutover = recallCutover(run)?.at
  const guarded = run.clock.monotonic() - begun
  // By the wall clock since the cutover, as an earlier process guarded too; one that was set back counts for nothing.
  return Math.max(guarded, cutover === undefined ? 0 : run.clock.now() - cutover) >= least
}

async function rest(ms: number, run: StepRun): Promise<void> {
  const end = run.clock.monotonic() + ms
  const wasBeside = run.isFollowing()
  for (let left = ms; left > 0; left = end - run.clock.monotonic()) {
    if (wasBeside && !run.isFollowing()) return
    await run.clock.sleep(wasBeside ? Math.min(left, BESIDE_MS) : left, run.signal)
  }
}
