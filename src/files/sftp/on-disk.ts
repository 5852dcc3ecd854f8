import { systemClock } from '../../base/clock.ts'
import { codeOf, MigrateError, messageOf } from '../../base/errors.ts'
import { inTime } from '../../base/time-limit.ts'
import type { Shell } from '../port.ts'
import type { SftpChannel } from './channel.ts'
import { shellWord } from './command.ts'

/** OpenSSH's PROTOCOL file, section 4.8. */
export const FLUSH = 'fsync@openssh.com'

/** Files that are brought to the disk by themselves: larger ones than this, or when no more than so many are on their way. */
const LARGE_BYTES = 1024 * 1024
const FEW = 4
/**
 * `sync -f` brings one file system to its disk: that of the folder, and then each that is mounted below it, by the list of Linux (proc(5), "mounts":
 * what would be in the way stands there in octal). Where there is no such list, or no such option, all of the host's.
 */
export const SYNC = [
  'r=$(cd -- "$1" && pwd -P) && sync -f "$r" 2>/dev/null && [ -r /proc/self/mounts ] || exec sync',
  '[ "$r" != / ] || r=',
  'while read -r _ m _; do m=$(printf %b "$m"); case "$m" in "$r"/?*) sync -f "$m" || exit 1;; esac; done </proc/self/mounts',
].join('; ')
/** A disk that many gigabytes wait for. */
const MOST_WAIT_MS = 15 * 60_000
/** Nobody ends it but its own time. */
const NEVER = new AbortController().signal

/**
 * Has what was written reach the host's disk, so that a power cut there takes nothing from a step that counts as done. By one command for all of
 * it where the account can run any (`sync`): small files pay nothing for it. Elsewhere by the session, for
 * each file (fsync@openssh.com): large ones and single ones alone, since each of many small ones would wait for the disk.
 */
export class OnDisk {
  readonly #label: string
  readonly #shell: Shell
  readonly #byProgram: () => Promise<boolean>
  readonly #hasPrograms: () => Promise<boolean | null>
  readonly #remark: (text: string) => void
  #hasSync: boolean | undefined
  #underWay = 0
  #isBehind = false

  /**
   * `byProgram`: does it by a program that is at work on the host anyway, some round trips sooner than the command; false where it can't.
   * `remark`: is told for people when the command failed.
   */
  constructor(
    label: string,
    { shell, byProgram }: { readonly shell: Shell; byProgram(): Promise<boolean> },
    hasPrograms: () => Promise<boolean | null>,
    remark: (text: string) => void,
  ) {
    this.#label = label
    this.#shell = shell
    this.#byProgram = byProgram
    this.#hasPrograms = hasPrograms
    this.#remark = remark
  }

  /** Something was written. */
  readonly wrote = (): void => {
    this.#isBehind = true
  }

  /** The same around the writing of one file by SFTP. */
  async one<T>(write: () => Promise<T>): Promise<T> {
    this.#underWay += 1
    try {
      return await write()
    } finally {
      this.#underWay -= 1
      this.wrote()
    }
  }

  /** Whether a file of so many bytes is to be flushed by its handle. */
  flushes(channel: SftpChannel): (bytes: number) => Promise<boolean> {
    return async (bytes) => channel.has(FLUSH) && (bytes > LARGE_BYTES || this.#underWay <= FEW) && !(await this.#canSync())
  }

  async #canSync(): Promise<boolean> {
    this.#hasSync ??= (await this.#hasPrograms()) ?? undefined
    return this.#hasSync ?? false
  }

  /** `root`: absolute, on the host. */
  async sync(root: string): Promise<void> {
    if (!this.#isBehind) return
    // What is written meanwhile may be too late for it.
    this.#isBehind = false
    try {
      if (await this.#canSync()) await this.#run(root)
    } catch (error) {
      this.wrote()
      throw error
    }
  }

  async #run(root: string): Promise<void> {
    const command = `sh -c ${shellWord(SYNC)} sh ${shellWord(root)}`
    const late = (): Error => new Error('it had not ended after a quarter of an hour')
    try {
      const limit = { clock: systemClock, signal: NEVER, ms: MOST_WAIT_MS, late }
      if (await inTime(limit, this.#byProgram)) return
      const { exit, stderr } = await inTime(limit, (signal) => this.#shell.run(command, signal))
      if (exit !== 0) throw new Error(stderr.trim() || `it ended with ${exit}`)
    } catch (error) {
      if (error instanceof MigrateError && codeOf(error) === 'files-connection-lost') throw error
      this.#remark(
        `${this.#label} could not be told to bring what was written to its disk (sync: ${messageOf(error)}): a power cut there within the next minute could still take some of it.`,
      )
    }
  }
}
