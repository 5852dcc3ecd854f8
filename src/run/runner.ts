import { MigrateError } from '../base/errors.ts'
import { assertSameBinding } from './binding.ts'
import {
  type CommandOptions,
  type Conclusion,
  conclude,
  concluding,
  makeRunId,
  plannedStep,
  type RunResult,
  sessionOf,
  tellTorn,
} from './command.ts'
import { checkAll, rehearse } from './dry-run.ts'
import { errorAmong, OK, PARKED, type Verdict } from './failures.ts'
import { runGroups } from './groups.ts'
import { RunHistory } from './history.ts'
import { preflight } from './preflight.ts'
import { type Binding, bindingHash } from './records.ts'
import { redactJson } from './redaction.ts'
import { namedSteps, type Selection, selectSteps } from './selection.ts'
import { findingFields, type Session } from './session.ts'
import { type HeldState, holdState, openHeldJournal, setAside } from './state.ts'
import { directly, type Effects, type Sequence } from './step.ts'
import { noStop } from './stopping.ts'

export interface RunOptions extends CommandOptions, Selection {
  /** Keep an earlier run aside and begin a new one. */
  readonly fresh?: boolean
}

/**
 * Runs a playbook's steps, or resumes an unfinished run. Never throws: whatever goes wrong is told in events (`failed` with step
 * `null` for what concerns the whole run), and `finished` is always the last one.
 */
export async function runSequence(options: RunOptions): Promise<RunResult> {
  const newId = options.newId ?? (() => makeRunId(options.clock))
  return await concluding(options, newId(), async (conclusion) => {
    const selected = selectSteps(options.sequence, options)
    if (options.dryRun === true) return await rehearse(options, selected, conclusion)
    const effects = options.effects ?? directly
    const held = await holdState(options.directory, effects, options.holder, options.fresh === true)
    try {
      return await withState(options, selected, held, conclusion)
    } finally {
      await effects('lock: release', () => held.lock.release())
    }
  })
}

/** `migrate check`: every precondition of the selected steps, reported together. Writes nothing anywhere. Never throws. */
export async function checkSequence(options: CommandOptions & Selection): Promise<RunResult> {
  return await concluding(options, makeRunId(options.clock), async (conclusion) =>
    checkAll(options, selectSteps(options.sequence, options), conclusion),
  )
}

async function withState(options: RunOptions, selected: Sequence, held: HeldState, conclusion: Conclusion): Promise<Verdict> {
  const effects = options.effects ?? directly
  const binding = redactJson(options.binding, options.redactor)
  const { begin, history } = await decide(options, held, binding, effects)
  const journal = await openHeldJournal(
    options.directory,
    options.clock,
    begin === 'new' ? { ...held, end: undefined } : held,
    effects,
  )
  try {
    conclusion.runId = history.run?.id ?? conclusion.runId
    const session = sessionOf(options, conclusion.runId, history, journal)
    if (begin === 'new') {
      const hash = bindingHash(binding)
      const steps = options.sequence.flat().map(plannedStep)
      await session.record({ type: 'run-started', run: conclusion.runId, playbook: options.name, hash, binding, steps })
    } else {
      await session.record({ type: 'run-resumed', run: conclusion.runId })
    }
    session.emit(null, { event: 'started', playbook: options.name, dryRun: false, resumed: begin === 'resume' })
    if (begin === 'resume') tellTorn(session, held)
    return await conclude(session, options, conclusion, () => runAll(session, options, selected))
  } finally {
    await journal.close()
  }
}

/** A new run or the one that the journal tells of; an earlier one is kept aside when a new one is to begin. */
async function decide(
  options: RunOptions,
  held: HeldState,
  binding: Binding,
  effects: Effects,
): Promise<{ readonly begin: 'new' | 'resume'; readonly history: RunHistory }> {
  if (held.damage !== undefined) return await replaceDamaged(options, held.damage, effects)
  const run = held.history.run
  if (run === undefined) return { begin: 'new', history: new RunHistory() }
  // A run that ended before its first change can be begun anew with the playbook mended: it isn't bound to anything yet.
  const isUnbound = held.history.changes.length === 0 && run.hash !== bindingHash(binding)
  if (options.fresh !== true && !held.history.rolledBack && !isUnbound) {
    assertSameBinding(run.binding, binding, run.id)
    return { begin: 'resume', history: held.history }
  }
  if (options.fresh === true && held.history.cutOver && options.yes !== true) throw cutOverAlready(run.id)
  await setAside(options.directory, run.id, effects)
  return { begin: 'new', history: new RunHistory() }
}

/** A journal that can't be read may tell of a cutover: only a person can know. */
async function replaceDamaged(
  options: RunOptions,
  damage: MigrateError,
  effects: Effects,
): Promise<{ readonly begin: 'new'; readonly history: RunHistory }> {
  if (options.yes !== true) {
    throw new MigrateError('journal-damaged', `${damage.message} Whether its run had begun the cutover can’t be told.`, {
      ending: 'usage',
      hint: 'If you know that customers are not on the new host, begin a new run with --fresh --yes; the damaged journal is kept aside.',
    })
  }
  await setAside(options.directory, 'damaged', effects)
  return { begin: 'new', history: new RunHistory() }
}

const cutOverAlready = (run: string): MigrateError =>
  new MigrateError(
    'fresh-after-cutover',
    `Run ${run} has begun the cutover: customers may be on the new host. No new run was begun.`,
    {
      ending: 'usage',
      hint: 'A new run would copy the old host over the new one. Take the earlier run back first with  migrate rollback PLAYBOOK, or say --fresh --yes.',
    },
  )

async function runAll(session: Session, options: RunOptions, selected: Sequence): Promise<Verdict> {
  const interrupt = options.interrupt ?? noStop()
  const abort = options.abort ?? noStop()
  for (const id of namedSteps(options)) session.named.add(id)
  const due = selected.flat().filter((step) => session.history.statusOf(step.id) !== 'finished')
  const found = await preflight(session, due, { signal: AbortSignal.any([interrupt, abort]), abort }, options)
  for (const [step, findings] of found) {
    for (const finding of findings) await session.record({ type: 'finding', step, ...findingFields(finding) })
  }
  const error = errorAmong([...found.values()].flat())
  if (error !== undefined) throw beforeAnything(error, session)
  const { verdict, didSomething } = await runGroups(session, selected, { interrupt, abort })
  if (verdict !== undefined) return verdict
  if (!didSomething) {
    session.emit(null, {
      event: 'note',
      message: 'Nothing left to do: every step has finished, and the world is as they left it.',
    })
  }
  const parked = selected.flat().some((step) => session.history.isParked(step.id))
  return parked ? PARKED : OK
}

const beforeAnything = (error: MigrateError, session: Session): MigrateError => {
  const untouched = session.history.changes.length === 0 ? 'Nothing was changed.' : 'Nothing further was changed.'
  const hint = error.hint === undefined ? 'Mend what was found, then run again.' : `${error.hint} Then run again.`
  return new MigrateError(error.code, `${error.message} ${untouched}`, { hint, ending: error.ending })
}
