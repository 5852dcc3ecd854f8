import fc from 'fast-check'
import { messageOf } from '../../../src/base/errors.ts'
import { type History, histories } from './history.ts'
import type { ModelHost } from './hosts.ts'
import { drained } from './invariants.ts'
import { Play } from './play.ts'
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

/**
 * Plays `count` random histories. MIGRATE_TEST_SEED and MIGRATE_TEST_PATH, as a failure prints them, play that one again, and
 * MIGRATE_TEST_HISTORIES sets another number.
 */
export async function playHistories(host: ModelHost, count: number, seed: number): Promise<void> {
  const { MIGRATE_TEST_SEED, MIGRATE_TEST_PATH, MIGRATE_TEST_HISTORIES } = process.env
  const details = await fc.check(
    fc.asyncProperty(
      histories
        .filter((each) => !OFF.has('none') || each.schema.tables.every((table) => table.kind !== 'none'))
        .filter((each) => !OFF.has('owned') || each.schema.tables.every((table) => table.kind !== 'owned'))
        .map(limited),
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

// Until the product can do more.
const OFF = new Set((process.env.MODEL_OFF ?? '').split(','))
const limited = (history: History): History => ({
  ...history,
  back: OFF.has('back') ? null : history.back,
  schema: {
    headroom: OFF.has('headroom') ? 1000 : history.schema.headroom,
    tables: history.schema.tables.map((table) => ({
      ...table,
      add: table.add && !OFF.has('add'),
      noteRule: OFF.has('note') ? ('none' as const) : table.noteRule,
      match: table.match && !OFF.has('match'),
      references: table.references.map((each) => ({ ...each, declared: each.declared || OFF.has('undeclared') })),
      conflict: OFF.has('conflict') ? ('park' as const) : table.conflict,
    })),
  },
})
