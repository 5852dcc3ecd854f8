import fc from 'fast-check'
import { messageOf } from '../../../src/base/errors.ts'
import { type History, histories } from './history.ts'
import type { ModelHost } from './hosts.ts'
import { drained } from './invariants.ts'
import { Play } from './play.ts'
import { isWithin, scopeOf, without } from './scope.ts'
import { tell } from './tell.ts'

/** Plays one history and throws what doesn't hold. */
async function play(history: History, host: ModelHost): Promise<void> {
  const each = await Play.begin(history, host)
  try {
    await each.live(history.events, 'old')
    complain(await drained(each, 'old'))
    if (history.back === null) return
    await each.live(history.back, 'new')
    complain(await drained(each, 'new'))
  } finally {
    await each.end()
  }
}

function complain(complaints: readonly string[]): void {
  if (complaints.length > 0) throw new Error([...new Set(complaints)].join('\n'))
}

/** Thousands of histories take minutes on a machine that has other work too. */
export const PATIENCE_MS = 15 * 60_000

/**
 * Plays `count` random histories. MIGRATE_TEST_SEED and MIGRATE_TEST_PATH, as a failure prints them, play that one again, and
 * MIGRATE_TEST_HISTORIES sets another number.
 */
export async function playHistories(host: ModelHost, count: number, seed: number): Promise<void> {
  const { MIGRATE_TEST_SEED, MIGRATE_TEST_PATH, MIGRATE_TEST_HISTORIES } = process.env
  const left = scopeOf()
  const details = await fc.check(
    fc.asyncProperty(
      histories.filter((each) => isWithin(each, left)).map((each) => without(each, left)),
      (history) => play(history, host),
    ),
    {
      numRuns: Number(MIGRATE_TEST_HISTORIES ?? count),
      seed: Number(MIGRATE_TEST_SEED ?? seed),
      ...(MIGRATE_TEST_PATH === undefined ? {} : { path: MIGRATE_TEST_PATH }),
    },
  )
  if (!details.failed) return
  const again = `MIGRATE_TEST_SEED=${details.seed} MIGRATE_TEST_PATH=${details.counterexamplePath}`
  const [history] = details.counterexample ?? []
  const story = history === undefined ? '' : tell(history)
  throw new Error(
    `history ${details.numRuns} fails; play it again with ${again}\n${messageOf(details.errorInstance)}\n${story}`,
    {
      cause: details.errorInstance,
    },
  )
}
