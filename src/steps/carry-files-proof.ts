import { LongList } from '../base/long-list.ts'
import { type HashedEntry, looksAlike } from '../files/merge.ts'
import type { FileEntry, FileHost } from '../files/port.ts'
import type { Putting } from './file-put.ts'
import type { FileStore } from './file-store.ts'
import { carriedForWriting } from './files-base.ts'

const AT_ONCE = 64
/** Wrong files that are asked and noted at a time. */
const WRONG_PAGE = 500

/** What was sent; `stands`: as the target has it, where that didn't take its time. */
export interface Sent {
  readonly entry: HashedEntry
  readonly stands: FileEntry | undefined
}

/** Keeps what was sent, to be read back. */
export async function keepSent(carried: FileStore, { entry, stands }: Sent): Promise<void> {
  const noted = stands === undefined ? undefined : carried.note(entry.path, arrival(entry, stands.mtimeSeconds))
  await Promise.all([carried.keep(entry, null), noted])
}

const arrival = ({ sha256 }: HashedEntry, seconds: number): string => `${sha256} ${seconds}`

/** An entry as it stood on the target when it had arrived. */
function asArrived(carried: FileStore, entry: HashedEntry): HashedEntry {
  const seconds = Number(carried.noteOf(entry.path)?.split(' ')[1])
  return carried.noteOf(entry.path) === arrival(entry, seconds) ? { ...entry, mtimeSeconds: seconds } : entry
}

interface ReadBack {
  files: number
  bytes: number
  /** What stands there of files that aren't as they were sent, with the hash that it has. */
  readonly wrong: LongList<HashedEntry>
  last: number
}

/** Reads back what was carried and not yet looked at: what came after `after`. */
export async function readBack(to: Putting, after: number): Promise<Readonly<ReadBack>> {
  const carried = await carriedForWriting(to.run, to.effects)
  const seen: ReadBack = { files: 0, bytes: 0, wrong: new LongList(WRONG_PAGE), last: after }
  try {
    for (;;) {
      const some = carried.arrivedAfter(seen.last, AT_ONCE)
      if (some.length === 0) return seen
      to.run.signal.throwIfAborted()
      await Promise.all(some.map(({ entry }) => readBackOne(to, asArrived(carried, entry), seen)))
      seen.last = some.at(-1)?.arrival ?? seen.last
    }
  } finally {
    carried.rest()
    carried.close()
  }
}

async function readBackOne({ host, run }: Putting, entry: HashedEntry, seen: ReadBack): Promise<void> {
  if (entry.kind !== 'file' || entry.sha256 === null) return
  const present = await host.stat(entry.path)
  // Removed or replaced there since, by whom the host serves now.
  if (present === undefined || !looksAlike(entry, present)) return
  const sha256 = await host.sha256(entry.path, run.signal)
  if (sha256 !== entry.sha256) return void seen.wrong.add({ ...present, sha256 })
  seen.files += 1
  seen.bytes += entry.size
}

/** Whether an entry that was sent stands there still, right or wrong: then it is ours to take back. */
export async function isSent(host: FileHost, sent: HashedEntry, present: FileEntry, wrong?: HashedEntry): Promise<boolean> {
  if (sent.sha256 === null || present.kind !== 'file') return looksAlike(sent, present)
  const sha256 = await host.sha256(sent.path)
  return sha256 === sent.sha256 || sha256 === wrong?.sha256
}
