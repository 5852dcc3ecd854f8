import { randomBytes } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { link, open, readdir, readFile, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { systemClock } from '../base/clock.ts'
import { namesIn } from '../base/disk.ts'
import { isDiskFull, keepingError } from '../base/disk-full.ts'
import { codeOf, MigrateError } from '../base/errors.ts'
import { syncFolder } from './journal.ts'

/** Who holds a lock. A process id alone could be another process by now; its start time tells. */
export interface Holder {
  readonly pid: number
  readonly host: string
  /** When the process started, as the system counts it; '' where the system doesn't say. */
  readonly started: string
}

const ownerSchema = z.object({
  pid: z.number().int(),
  host: z.string(),
  started: z.string(),
  token: z.string(),
  released: z.boolean(),
})
type Owner = z.infer<typeof ownerSchema>

export interface Lock {
  /** Grows with each holder of the state directory. */
  readonly number: number
  /** Throws MigrateError `run-lock-lost` when another process has taken over. */
  assertHeld(): Promise<void>
  release(): Promise<void>
}

const HEARTBEAT_MS = 10_000
const HEARTBEAT_LOST_MS = 60_000
const LOCK_NAME = /^lock\.(\d+)$/

/**
 * Takes the lock of a state directory (law 3: one holder per run).
 *
 * A lock is a file `lock.N`; whoever has the highest N holds it, and N is the fencing number. A contender that finds the holder
 * dead or gone makes `lock.N+1`, which only one can, and backs off when yet another one appeared meanwhile. The highest file is
 * never removed, so numbers are never given twice.
 *
 * `floor` is a number that the new one must exceed (the journal's last). A holder on this host is dead when its process is; one
 * on another host when its heartbeat is older than 60 s. Throws MigrateError `run-locked`, naming the holder, when it lives.
 */
export async function acquireLock(directory: string, floor = 0, holder?: Holder): Promise<Lock> {
  const self = holder ?? (await thisProcess())
  const owner: Owner = { ...self, token: randomBytes(12).toString('hex'), released: false }
  const highest = await highestLock(directory)
  if (highest > 0) await assertFree(directory, highest, self)
  const number = Math.max(highest, floor) + 1
  const path = lockPath(directory, number)
  const draft = join(directory, `lock-draft.${owner.token}`)
  try {
    await writeDurably(draft, owner)
    await link(draft, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw keepingError(error, directory)
    throw await lockedBy(directory, number)
  } finally {
    await unlink(draft).catch(ignoreMissing)
  }
  const rival = (await lockNumbers(directory)).find((other) => other > highest && other !== number)
  if (rival !== undefined) {
    await unlink(path)
    throw await lockedBy(directory, rival)
  }
  await removeLower(directory, number)
  await syncFolder(directory)
  const { ino } = await stat(path, { bigint: true })
  return new LockFile(directory, number, owner, ino)
}

class LockFile implements Lock {
  readonly number: number
  readonly #directory: string
  readonly #owner: Owner
  readonly #inode: bigint
  readonly #ended = new AbortController()
  readonly #beating: Promise<void>

  constructor(directory: string, number: number, owner: Owner, inode: bigint) {
    this.#directory = directory
    this.#inode = inode
    this.number = number
    this.#owner = owner
    this.#beating = this.#beat()
  }

  async assertHeld(): Promise<void> {
    if (this.#isOurs()) return
    throw new MigrateError(
      'run-lock-lost',
      `Another process has taken over this run (${this.#directory}); this one has stopped.`,
      {
        hint: 'Let the other one finish, or stop it, then run again to resume.',
      },
    )
  }

  /** Asked before every line of the journal, so without a round trip through the thread pool. */
  #isOurs(): boolean {
    const numbers = lockNumbersIn(readdirSync(this.#directory))
    if (Math.max(0, ...numbers) !== this.number) return false
    return statSync(lockPath(this.#directory, this.number), { bigint: true, throwIfNoEntry: false })?.ino === this.#inode
  }

  async release(): Promise<void> {
    this.#ended.abort()
    await this.#beating
    const highest = await highestLock(this.#directory)
    if (highest !== this.number) return
    const draft = join(this.#directory, `lock-draft.${this.#owner.token}`)
    try {
      await writeDurably(draft, { ...this.#owner, released: true })
      await rename(draft, lockPath(this.#directory, this.number))
    } catch (error) {
      await unlink(draft).catch(ignoreMissing)
      // Without room it is free all the same once this process has ended, and why there is no room is told already.
      if (!isDiskFull(error)) throw error
    }
  }

  /** In real time, whatever clock the run uses: this is about whether a process lives. */
  async #beat(): Promise<void> {
    const path = lockPath(this.#directory, this.number)
    while (!this.#ended.signal.aborted) {
      try {
        await systemClock.sleep(HEARTBEAT_MS, this.#ended.signal)
        const seconds = systemClock.now() / 1000
        await utimes(path, seconds, seconds)
      } catch (error) {
        // Released, or taken over: the next append to the journal finds out and says so.
        if (this.#ended.signal.aborted || codeOf(error) === 'ENOENT') return
      }
    }
  }
}

const lockPath = (directory: string, number: number): string => join(directory, `lock.${number}`)

async function lockNumbers(directory: string): Promise<readonly number[]> {
  return lockNumbersIn(await readdir(directory))
}

const lockNumbersIn = (names: readonly string[]): readonly number[] =>
  names.flatMap((name) => LOCK_NAME.exec(name)?.[1] ?? []).map(Number)

const highestLock = async (directory: string): Promise<number> => Math.max(0, ...(await lockNumbers(directory)))

async function removeLower(directory: string, number: number): Promise<void> {
  for (const lower of await lockNumbers(directory)) {
    if (lower < number) await unlink(lockPath(directory, lower)).catch(ignoreMissing)
  }
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error
}

async function writeDurably(path: string, owner: Owner): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await writeFile(file, `${JSON.stringify(owner)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** `undefined` when the file is gone or isn't a lock of ours. */
async function readOwner(directory: string, number: number): Promise<Owner | undefined> {
  try {
    return ownerSchema.parse(JSON.parse(await readFile(lockPath(directory, number), 'utf8')))
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || error instanceof SyntaxError || error instanceof z.ZodError) return undefined
    throw error
  }
}

async function assertFree(directory: string, number: number, self: Holder): Promise<void> {
  if (await isHeld(directory, number, self)) throw await lockedBy(directory, number)
}

async function isHeld(directory: string, number: number, self: Holder): Promise<boolean> {
  const owner = await readOwner(directory, number)
  // A lock file is linked whole into its place: one that can't be read was damaged later, and nobody can hold it.
  if (owner === undefined || owner.released) return false
  return owner.host === self.host ? await processLives(owner) : await beatsStill(directory, number)
}

/** Whether a run is at work in this state directory. Reads only; false also where there is no such directory. */
export async function isLocked(directory: string): Promise<boolean> {
  const highest = Math.max(0, ...lockNumbersIn(await namesIn(directory)))
  return highest > 0 && (await isHeld(directory, highest, await thisProcess()))
}

async function beatsStill(directory: string, number: number): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(lockPath(directory, number))
    return systemClock.now() - mtimeMs < HEARTBEAT_LOST_MS
  } catch (error) {
    ignoreMissing(error)
    return true
  }
}

async function lockedBy(directory: string, number: number): Promise<MigrateError> {
  const owner = await readOwner(directory, number)
  const name = owner === undefined ? 'another process' : `process ${owner.pid} on ${owner.host}`
  return new MigrateError(
    'run-locked',
    `This run is in the hands of ${name} (${lockPath(directory, number)}). Nothing was changed.`,
    {
      hint:
        'Look at it with  migrate status PLAYBOOK, let it finish, or stop it with Ctrl-C, then try again. ' +
        'A holder on this machine that has died is taken over by itself, one on another machine 60 s after its last sign of life.',
    },
  )
}

/** The process that is running this, as a lock names it. */
export async function thisProcess(): Promise<Holder> {
  return { pid: process.pid, host: hostname(), started: (await startOf(process.pid)) ?? '' }
}

async function processLives(owner: Owner): Promise<boolean> {
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    if (codeOf(error) === 'ESRCH') return false
  }
  const started = await startOf(owner.pid)
  if (started === 'dead') return false
  return started === undefined || owner.started === '' || started === owner.started
}

/**
 * Boot id and start time in ticks since boot, field 22 of /proc/PID/stat (proc(5)); `dead` for a process that has ended and that
 * its parent hasn't collected; `undefined` where there is no /proc.
 */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
    const line = await readFile(`/proc/${pid}/stat`, 'utf8')
    // The second field is the command in parentheses and may hold blanks and parentheses itself.
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? 'dead' : `${boot}:${fields[19] ?? ''}`
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return undefined
    throw error
  }
}
