import pLimit from 'p-limit'
import type { Stats } from 'ssh2'
import { systemClock } from '../../base/clock.ts'
import { MigrateError } from '../../base/errors.ts'
import { inTime } from '../../base/time-limit.ts'
import type { Shell } from '../port.ts'
import { type SftpChannel, STATUS, statusOf } from './channel.ts'
import { shellWord } from './command.ts'
import { REPLACE } from './placing.ts'

/** SHA-256 of nothing (FIPS 180-4's example of an empty message). */
const OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
/** Programs that hash their input and begin their answer with the hash: GNU and BusyBox, Perl, FreeBSD, OpenSSL. */
const PROGRAMS = ['sha256sum', 'shasum -a 256', 'sha256 -q', 'openssl dgst -sha256 -r']
/** Of one command's names, bytes: Linux takes 128 KiB for one argument, and the whole command is one. */
const MOST_NAMES = 48 * 1024
/** So long is waited for the first command's end. */
const MOST_WAIT_MS = 10_000
/** Nobody ends the first command but its own time. */
const NEVER = new AbortController().signal
/** Commands at once: sshd's MaxSessions is 10 for a connection, of which the transfers have one. */
const AT_ONCE = 2

/**
 * Hashes files by a host's own programs, over SSH beside SFTP; only where the shell is seen to have the very folder that SFTP has (SFTP
 * may be shut into a part of the host that the shell isn't).
 */
export class ShellHashes {
  readonly #shell: Shell
  #program: Promise<string | null> | undefined
  #asked: Promise<string> | undefined
  readonly #inTurn = pLimit(AT_ONCE)

  constructor(shell: Shell) {
    this.#shell = shell
  }

  /** The program that hashes there; `null` where there is none, or no shell. `root`: whole path of the folder. */
  program(channel: SftpChannel, root: string): Promise<string | null> {
    this.#program ??= this.#find(channel, root).catch((error: unknown) => {
      this.#program = undefined
      if (statusOf(error) === STATUS.missing) return null // asked again when the folder is there
      throw error
    })
    return this.#program
  }

  /** Asks the shell as soon as the account is let in, while there is no session yet. */
  begin(root: Promise<{ full(path: string): string }>, loggedIn: Promise<void>): void {
    const begin = (folder: string): void => {
      if (this.#program !== undefined || this.#asked !== undefined) return
      this.#asked = this.#ask(commandFor(folder))
      this.#asked.catch(() => undefined) // asked once more
    }
    Promise.all([root, loggedIn]).then(
      ([found]) => begin(found.full('')),
      () => undefined, // whoever uses the host is told
    )
  }

  /** False as long as the folder isn't there: then it is asked again. */
  get isKnown(): boolean {
    return this.#program !== undefined
  }

  /** Whether programs of the host can be used on the folder; `null` as long as it isn't there. */
  async areUsable(channel: SftpChannel, root: string): Promise<boolean | null> {
    if (!channel.has(REPLACE)) return false
    if ((await this.program(channel, root)) !== null) return true
    return this.isKnown ? false : null
  }

  /** By whole paths; `null` for what can't be hashed. */
  async of(program: string, paths: readonly string[], signal?: AbortSignal): Promise<readonly (string | null)[]> {
    const found: (string | null)[] = []
    for (const some of portions(paths)) found.push(...(await this.#inTurn(() => this.#hash(program, some, signal))))
    return found
  }

  async #hash(program: string, paths: readonly string[], signal: AbortSignal | undefined): Promise<readonly (string | null)[]> {
    const names = paths.map(shellWord).join(' ')
    if (program === 'sha256sum' && paths.length > 1) {
      const { exit, stdout } = await this.#shell.run(`sha256sum ${names}`, signal)
      const hashes = exit === 0 ? hashesIn(stdout) : []
      if (hashes.length === paths.length && hashes.every((hash) => hash !== null)) return hashes
    }
    // One after the other, a line for each whatever becomes of it.
    const loop = `for f; do ${program} <"$f" 2>/dev/null || echo -; done`
    const { stdout } = await this.#shell.run(`sh -c ${shellWord(loop)} sh ${names}`, signal)
    const hashes = hashesIn(stdout)
    return hashes.length === paths.length ? hashes : paths.map(() => null)
  }

  async #find(channel: SftpChannel, root: string): Promise<string | null> {
    const command = commandFor(root)
    const asked = this.#asked?.catch(() => this.#ask(command)) ?? this.#ask(command)
    this.#asked = undefined
    const [seen, found] = await Promise.all([channel.stat(root), asked])
    const first = seenByShell(found, seen)
    if (first === undefined || first.mtime === seen.mtime) return first?.program ?? null
    // Files are being put there meanwhile: what the shell sees has to lie between two looks.
    const between = seenByShell(await this.#ask(command), seen)
    const latest = await channel.stat(root)
    const isSame = between !== undefined && between.mtime >= seen.mtime && between.mtime <= latest.mtime
    return isSame ? between.program : null
  }

  /** What a command prints; nothing where there is no shell, or one that doesn't come to an end (a menu, a forced command). */
  async #ask(command: string): Promise<string> {
    const limit = { clock: systemClock, signal: NEVER, ms: MOST_WAIT_MS, late: () => new TooLate() }
    try {
      return (await inTime(limit, (signal) => this.#inTurn(() => this.#shell.run(command, signal)))).stdout
    } catch (error) {
      const isWithout = error instanceof MigrateError && error.code === 'files-no-shell'
      if (isWithout || error instanceof TooLate) return ''
      throw error
    }
  }
}

/** Says what the shell sees of the folder, and then which program hashes there. */
function commandFor(root: string): string {
  const script = [
    'r="$1"; shift',
    `stat -c '%Y %f %u %g' "$r" 2>/dev/null || stat -f '%m %Xp %u %g' "$r"`,
    `for p; do case "$($p </dev/null 2>/dev/null)" in ${OF_NOTHING}*) echo "$p"; break;; esac; done`,
  ].join('; ')
  return `sh -c ${shellWord(script)} sh ${shellWord(root)} ${PROGRAMS.map(shellWord).join(' ')}`
}

class TooLate extends Error {}

/** What a shell says of the folder; `undefined` when it has no program, or the folder is another one than SFTP's. */
function seenByShell(found: string, seen: Stats): { readonly program: string; readonly mtime: number } | undefined {
  const [facts = '', program = ''] = found.split('\n')
  const [mtime, mode = '', uid, gid] = facts.split(' ')
  const isSame = seen.mode === Number.parseInt(mode, 16) && seen.uid === Number(uid) && seen.gid === Number(gid)
  return isSame && PROGRAMS.includes(program) ? { program, mtime: Number(mtime) } : undefined
}

/** GNU's sha256sum puts a backslash before the line when a name needs one. */
const hashesIn = (stdout: string): readonly (string | null)[] =>
  stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => /^\\?([0-9a-f]{64})\b/.exec(line)?.[1] ?? null)

function* portions(paths: readonly string[]): Generator<readonly string[]> {
  let [some, length]: [string[], number] = [[], 0]
  for (const path of paths) {
    const room = Buffer.byteLength(shellWord(path)) + 1
    if (some.length > 0 && length + room > MOST_NAMES) {
      yield some
      ;[some, length] = [[], 0]
    }
    some.push(path)
    length += room
  }
  if (some.length > 0) yield some
}
