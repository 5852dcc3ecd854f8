import { mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { namesIn } from '../base/disk.ts'
import { codeOf, MigrateError, messageOf } from '../base/errors.ts'
import { RunHistory } from './history.ts'
import { JOURNAL_NAME, type Journal, type JournalEnd, openJournal, readJournal, syncFolder } from './journal.ts'
import { acquireLock, type Holder, type Lock } from './lock.ts'
import { directly, type Effects } from './step.ts'

/** The state directory, held by this process. */
export interface HeldState {
  readonly lock: Lock
  /** `undefined` when there is no journal yet. */
  readonly end: JournalEnd | undefined
  readonly history: RunHistory
  /** The journal can't be read, and whoever asked said that this is no obstacle. */
  readonly damage?: MigrateError
}

/** Reads what the journal says, without lock and without writing. `end` is `undefined` when there is none. */
export async function readHistory(
  directory: string,
): Promise<{ readonly end: JournalEnd | undefined; readonly history: RunHistory }> {
  const history = new RunHistory()
  const end = await readJournal(directory, (entry, reread) => history.add(entry, reread))
  return { end, history }
}

/**
 * Makes the state directory where it is missing, takes its lock and reads its journal.
 * Throws `run-locked`, `journal-damaged`, or `state-directory-unusable`.
 */
export async function holdState(
  directory: string,
  effects: Effects = directly,
  holder?: Holder,
  tolerateDamage = false,
): Promise<HeldState> {
  await makeFolder(directory)
  const before = await readHistoryUnlessDamaged(directory)
  const lock = await effects('lock: take', () => acquireLock(directory, before?.fence ?? 0, holder))
  try {
    // Read again: the last holder may have gone on writing until we had the lock.
    return { lock, ...(await readHistory(directory)) }
  } catch (error) {
    if (tolerateDamage && isDamage(error)) return { lock, end: undefined, history: new RunHistory(), damage: error }
    await lock.release()
    throw error
  }
}

const isDamage = (error: unknown): error is MigrateError => error instanceof MigrateError && error.code === 'journal-damaged'

async function readHistoryUnlessDamaged(directory: string): Promise<JournalEnd | undefined> {
  try {
    return await readJournal(directory, () => undefined)
  } catch (error) {
    // With the lock held it is read again, and then the damage counts.
    if (isDamage(error)) return undefined
    throw error
  }
}

async function makeFolder(directory: string): Promise<void> {
  try {
    const first = await mkdir(directory, { recursive: true, mode: 0o700 })
    if (first !== undefined) await syncFolder(dirname(first))
  } catch (error) {
    throw new MigrateError(
      'state-directory-unusable',
      `The state directory ${directory} can't be made: ${messageOf(error)}. Nothing was changed.`,
      { hint: 'Choose another one with --state DIR, or mend its rights.', cause: error },
    )
  }
}

export const openHeldJournal = (
  directory: string,
  clock: Clock,
  held: { readonly lock: Lock; readonly end: JournalEnd | undefined },
  effects: Effects,
): Promise<Journal> => openJournal({ directory, clock, fence: held.lock, effects }, held.end)

/**
 * Keeps everything of an earlier run aside, in a folder of the state directory; nothing is deleted. The journal goes last, so
 * that one who is cut off in between finds the earlier run still there.
 */
export async function setAside(directory: string, name: string, effects: Effects): Promise<string> {
  const target = await freeName(directory, `earlier-${name}`)
  const entries = (await namesIn(directory)).filter((entry: string) => !isOwn(entry) && entry !== JOURNAL_NAME)
  await effects('state: set aside', async () => {
    await mkdir(target, { recursive: true, mode: 0o700 })
    for (const entry of [...entries, JOURNAL_NAME]) {
      await rename(join(directory, entry), join(target, entry)).catch(ignoreMissing)
    }
    await syncFolder(target)
    await syncFolder(directory)
  })
  return target
}

const isOwn = (entry: string): boolean => entry.startsWith('lock') || entry.startsWith('earlier-')

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error
}

/** The folder itself while it has no journal (a setting aside that was cut off), otherwise the first with a number behind it. */
async function freeName(directory: string, name: string): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const path = join(directory, attempt === 1 ? name : `${name}-${attempt}`)
    if (!(await namesIn(path)).includes(JOURNAL_NAME)) return path
  }
}
