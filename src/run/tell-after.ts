import { isoTime } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { type CommandOptions, sessionOf } from './command.ts'
import type { EventBody } from './events.ts'
import { findingFields } from './session.ts'
import { holdState, openHeldJournal } from './state.ts'
import { directly } from './step.ts'
import { noStop } from './stopping.ts'

/**
 * Says something of a run between its parts, or after them: shown, kept in the journal where it is a finding, and told to people as what a
 * step says is. Where the run can't be held (another process has it, and tells people), it is shown alone.
 */
export async function tellOfRun(options: CommandOptions, runId: string, body: EventBody): Promise<void> {
  const effects = options.effects ?? directly
  const held = await holdState(options.directory, effects, options.holder).catch((error: unknown) => {
    if (error instanceof MigrateError) return undefined
    throw error
  })
  if (held === undefined) {
    options.sink({ time: isoTime(options.clock.now()), run: runId, step: null, ...body })
    return
  }
  try {
    const journal = await openHeldJournal(options.directory, options.clock, held, effects)
    try {
      const session = sessionOf(options, runId, held.history, journal)
      session.emit(null, body)
      if (body.event === 'finding') await session.record({ type: 'finding', step: null, ...findingFields(body) })
      await session.part([], options.abort ?? noStop())
      await session.flush()
    } finally {
      await journal.close()
    }
  } finally {
    await effects('lock: release', () => held.lock.release())
  }
}
