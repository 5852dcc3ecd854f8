import type { Throttle } from '../databases/snapshot/pace.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import type { StepRun } from '../run/step.ts'
import { apart, type Manner, OldShopPace, type ThrottleMode, type Watched } from './old-shop-pace.ts'
import type { World } from './world.ts'

/** A folder costs its host about as much as so many entries of one: it is asked for by itself. */
const FOLDER_WEIGHT = 20
/** So much is listed at a time before it is asked whether to slow down. */
const TURN = 400
/** Shorter listings are over before anything could be measured. */
const WORTH = 10 * TURN

const LISTING: Manner = {
  what: 'the listing of its files',
  said: ({ pauseMs }) => (pauseMs === 0 ? 'listing at full speed' : `listing some at a time${apart(pauseMs)}`),
  atOnce: () => 1,
}

export interface ListingPace {
  readonly run: StepRun
  readonly world: World
  readonly mode: ThrottleMode
  readonly everyMs?: number
  /** Folders that it says no to are named, and not opened; all are opened when it is absent. */
  readonly looksInto?: (folder: string) => boolean
}

/**
 * The old host's files, listed no faster than the old shop bears once the listing has turned out to be a long one. It rests while it is
 * measured what the shop's answers take.
 */
export async function* listOldFiles(files: FileHost, pace: ListingPace): AsyncGenerator<FileEntry> {
  const { signal } = pace.run
  const shop = new OldShopPace({ ...pace, readers: 1, manner: LISTING })
  let watched: Watched | undefined
  let listed = 0
  const turn = async (): Promise<void> => {
    listed += TURN
    if (listed === WORTH) watched = await shop.begin()
    await onesTurn(watched?.throttle, signal)
  }
  try {
    yield* byTurns(files.list('', signal, pace.looksInto), turn)
  } finally {
    await watched?.end()
  }
}

/** The same for a listing in the midst of a copy, which goes at the copy's pace. */
export const paced = (
  entries: AsyncIterable<FileEntry>,
  throttle: Throttle | undefined,
  signal: AbortSignal,
): AsyncIterable<FileEntry> => (throttle === undefined ? entries : byTurns(entries, () => onesTurn(throttle, signal)))

async function* byTurns(entries: AsyncIterable<FileEntry>, turn: () => Promise<void>): AsyncGenerator<FileEntry> {
  let weight = 0
  for await (const entry of entries) {
    yield entry
    weight += entry.kind === 'folder' ? FOLDER_WEIGHT : 1
    if (weight < TURN) continue
    weight = 0
    await turn()
  }
}

async function onesTurn(throttle: Throttle | undefined, signal: AbortSignal): Promise<void> {
  await throttle?.enter(signal)
  throttle?.leave()
}
