import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { type Clock, isoTime } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { buildWorld, loadPlaybook, type Playbook } from '../playbook/index.ts'
import { type Rehearsal, rehearsalOf, scratchNames } from '../playbook/rehearsal.ts'
import type { RunResult } from '../run/command.ts'
import type { EventSink, RunEvent } from '../run/events.ts'
import { runSequence } from '../run/runner.ts'
import { readHistory } from '../run/state.ts'
import { noStop } from '../run/stopping.ts'
import { rollback } from '../run/undo.ts'
import type { World } from '../steps/world.ts'
import type { Display } from './display/display.ts'
import { stateDirectory } from './flags.ts'
import { type Prepared, prepareFrom, type Surroundings } from './prepare.ts'
import { type RehearsalRecord, readRecord, removeRecord, writeRecord } from './rehearsal-record.ts'
import { Stopwatch, timesText } from './rehearsal-times.ts'
import { type Session, withDisplay } from './session.ts'
import { listenForSignals } from './signals.ts'

interface Stage {
  readonly playbook: Playbook
  readonly file: string
  readonly directory: string
  /** The real hosts: scratch things are made and dropped through them. */
  readonly world: World
  readonly surroundings: Surroundings
  readonly display: Display
  readonly clock: Clock
}

/**
 * `migrate rehearse`: snapshot and restore for real into a database and a folder of its own on the new host, then everything is taken
 * away again, also after a failure or Ctrl-C; what a killed rehearsal left is removed by the next one. Returns the exit code.
 */
export async function rehearse(file: string, session: Session, onlyClean: boolean): Promise<number> {
  return await withDisplay({ ...session, playbook: file }, 'rehearsal', async ({ display, clock }) => {
    const stops = listenForSignals(display.notice, process.exit)
    const surroundings: Surroundings = { clock, env: session.io.env, flags: session.flags, display, stops }
    try {
      const playbook = await loadPlaybook(file, session.io.env)
      const directory = `${stateDirectory(session.flags, resolve(file), playbook.name)}-rehearsal`
      const world = await buildWorld(playbook, { clock })
      try {
        const stage: Stage = { playbook, file, directory, world, surroundings, display, clock }
        return await onStage(stage, onlyClean)
      } finally {
        await world.close()
      }
    } finally {
      stops.dispose()
    }
  })
}

async function onStage(stage: Stage, onlyClean: boolean): Promise<number> {
  const started = stage.clock.monotonic()
  const finished = (result: Pick<RunResult, 'outcome' | 'exit'>): number => {
    const seconds = (stage.clock.monotonic() - started) / 1000
    const { outcome, exit } = result
    stage.display.sink({
      time: isoTime(stage.clock.now()),
      run: 'rehearsal',
      step: null,
      event: 'finished',
      outcome,
      exit,
      seconds,
    })
    return exit
  }
  const left = await readRecord(stage.directory)
  if (left !== undefined) {
    stage.display.notice('Removing what an earlier rehearsal left on the new host.')
    await clean(stage, left)
  }
  if (onlyClean) return finished({ outcome: 'ok', exit: 0 })
  const record = await begin(stage)
  const stopwatch = new Stopwatch()
  const rehearsal = rehearsalOf(stage.playbook, scratchNames(stage.playbook.new.database?.database, record.mark))
  let result: RunResult
  try {
    result = await perform(stage, rehearsal, record, stopwatch)
  } finally {
    await clean(stage, record)
  }
  if (result.exit === 0) tellTimes(stage, rehearsal, stopwatch)
  return finished(result)
}

/** Notes what is going to be made, and says beforehand what can't be. */
async function begin(stage: Stage): Promise<RehearsalRecord> {
  const { playbook, directory, world } = stage
  const mark = randomBytes(3).toString('hex')
  const names = scratchNames(playbook.new.database?.database, mark)
  const { makesDatabase, makesFolder } = rehearsalOf(playbook, names)
  if (makesDatabase && world.new.database?.scratch === undefined) {
    throw new MigrateError('rehearsal-impossible', 'No database can be made on the new host for the rehearsal.', {
      ending: 'usage',
      hint: 'Make an empty one in its control panel, and name it: rehearsal: { database: … }.',
    })
  }
  const record = {
    mark,
    database: makesDatabase ? names.database : null,
    folder: makesFolder ? names.folder : null,
    takenBack: false,
  }
  await writeRecord(directory, record)
  return record
}

async function perform(stage: Stage, rehearsal: Rehearsal, record: RehearsalRecord, stopwatch: Stopwatch): Promise<RunResult> {
  const { world } = stage
  if (record.database !== null) await makeDatabase(world, record.database)
  if (record.folder !== null) await world.new.files?.makeFolder(record.folder, 0o755)
  return await onRehearsed(stage, rehearsal, async ({ options }) => {
    const hearing: EventSink = (event) => {
      stopwatch.hear(event)
      if (event.event !== 'finished') options.sink(event)
    }
    return await runSequence({ ...options, sink: hearing, fresh: true, yes: true })
  })
}

async function makeDatabase({ new: target }: World, name: string): Promise<void> {
  try {
    await target.database?.scratch?.create(name)
  } catch (error) {
    if (!(error instanceof MigrateError) || error.code !== 'database-permission-denied') throw error
    throw new MigrateError(error.code, `${error.message}\nThe rehearsal needs a database of its own beside the shop’s.`, {
      hint: 'Give that account the right to make databases, or make an empty one in the control panel and name it: rehearsal: { database: … }.',
      cause: error,
    })
  }
}

/** Opens the rehearsal's own hosts for `work`. */
async function onRehearsed<T>(stage: Stage, rehearsal: Rehearsal, work: (prepared: Prepared) => Promise<T>): Promise<T> {
  const prepared = await prepareFrom(rehearsal.playbook, stage.file, stage.directory, stage.surroundings)
  try {
    return await work(prepared)
  } finally {
    await prepared.world.close()
  }
}

/**
 * Takes back what the run did, drops what was made for it, and forgets it. Can be cut off anywhere and done again. Ctrl-C doesn't stop
 * it: it is what Ctrl-C is answered with.
 */
async function clean(stage: Stage, record: RehearsalRecord): Promise<void> {
  const { directory, world } = stage
  if (!record.takenBack) {
    await takeBack(stage, record)
    await writeRecord(directory, { ...record, takenBack: true })
  }
  if (record.database !== null) await world.new.database?.scratch?.drop(record.database)
  if (record.folder !== null) await world.new.files?.removeFolder(record.folder)
  await removeRecord(directory)
}

async function takeBack(stage: Stage, record: RehearsalRecord): Promise<void> {
  const { history } = await readHistory(stage.directory)
  if (history.run === undefined || history.rolledBack) return
  const names = scratchNames(stage.playbook.new.database?.database, record.mark)
  const rehearsal = rehearsalOf(stage.playbook, names)
  // What is dropped as a whole needn't be taken apart before.
  const dropped = record.database === null ? [] : ['restore-database', 'bump-identities']
  const steps = rehearsal.playbook.steps.flat().flatMap((step) => (dropped.includes(step.kind.name) ? [] : [step.id]))
  let failure: RunEvent | undefined
  // A Ctrl-C before this is why it is done; only a second one ends it.
  const stops = { ...stage.surroundings.stops, interrupt: noStop() }
  const undisturbed: Stage = { ...stage, surroundings: { ...stage.surroundings, stops } }
  const quiet: EventSink = (event) => {
    if (event.event === 'failed') failure = event
  }
  await onRehearsed(undisturbed, rehearsal, async ({ options }) => {
    const result = await rollback({ ...options, sink: quiet, yes: true, steps })
    if (result.exit === 0) return
    const why = failure?.event === 'failed' ? ` ${failure.message}` : ''
    throw new MigrateError('rehearsal-not-removed', `What the rehearsal made on the new host could not all be removed.${why}`, {
      hint: 'Say  migrate rehearse PLAYBOOK --clean  to try again.',
    })
  })
}

function tellTimes({ display, clock }: Stage, { leftOut }: Rehearsal, stopwatch: Stopwatch): void {
  const times = stopwatch.times()
  const { steps, rtoSeconds, rpoSeconds } = times
  const figures = { steps: steps.map(({ step, seconds }) => ({ step, seconds })), rtoSeconds, rpoSeconds, leftOut }
  display.tell({ time: isoTime(clock.now()), run: null, step: null, event: 'rehearsed', ...figures }, timesText(times, leftOut))
}
