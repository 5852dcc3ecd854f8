import { Adrift, type LanePart } from '../adrift.ts'
import { parentOf, partPath } from '../paths.ts'
import type { FileEntry, Purpose, WriteOptions, WrittenFile } from '../port.ts'
import type { Whole } from '../whole.ts'
import type { SftpRoot } from './inside.ts'
import type { SftpPool } from './pool.ts'
import { canBeTold } from './receiver.ts'
import { Receivers } from './receivers.ts'
import { SMALL_BYTES, TarReads } from './tar-read.ts'
import { TarWrites } from './tar-write.ts'

/** The ways of a file to its place. */
interface Ways {
  /**
   * Renames what stands, whole, under a path of the host; of `null` it makes the folder alone, for what is put there by itself. Where that
   * can't be done, as between two disks, `bySftp` does it.
   */
  place(from: string | null): Promise<void>
  /** The file's folder is known to be there, and within the root. */
  readonly isReady: boolean
  bySftp(): Promise<WrittenFile>
}

export type FellBack = (way: 'reading' | 'writing', said: string) => void

/** For people, of a host whose programs could not be used for small files. */
export function refusal(label: string, way: string, said: string): string {
  const last = said.trim().split('\n').at(-1) ?? ''
  const why = last === '' ? 'it gave no reason' : `it said: ${last.slice(0, 200)}`
  return `tar can't be used for ${way} small files on ${label} (${why}); they go over SFTP one by one, which is slower.`
}

/**
 * Small files in bulk: by `tar` or Perl on hosts whose programs can be used, when many are on their way at once, else by SFTP, each by itself. No
 * promise of a host's file depends on which: both are checked by length and hash, and appear whole, by a rename.
 */
export class SmallFiles {
  readonly #reads: TarReads
  readonly #receivers: Receivers
  readonly #writes: TarWrites
  readonly #adrift: Adrift
  readonly #hasPrograms: () => Promise<boolean>
  readonly #known: () => boolean | Promise<boolean>

  /**
   * `hasPrograms`: whether a shell sees the very folder that SFTP does, `null` when that isn't to be told yet; never rejects. Asked until it
   * is told. `fellBack`: is told once for each way when the host's programs could not be used after all, with the last that they said.
   */
  constructor(
    pool: SftpPool,
    connections: number,
    hasPrograms: () => Promise<boolean | null>,
    fellBack: FellBack,
    host: ConstructorParameters<typeof Adrift>[0],
  ) {
    this.#adrift = new Adrift(host)
    // The answer may take seconds: until it is there, files go by SFTP.
    let answer: boolean | undefined
    let asked: Promise<boolean> | undefined
    this.#hasPrograms = () => {
      asked ??= hasPrograms().then((can) => {
        answer = can ?? undefined
        if (can === null) asked = undefined
        return can ?? false
      })
      return asked
    }
    const known = (): boolean | Promise<boolean> => answer ?? this.#hasPrograms()
    this.#known = known
    this.#reads = new TarReads(pool, connections, known, (said) => fellBack('reading', said))
    this.#receivers = new Receivers(pool, connections, known, this.#adrift)
    this.#writes = new TarWrites(pool, connections, known, (said) => fellBack('writing', said), this.#adrift.own)
  }

  /**
   * Begins what takes a while to begin: many small files are about to be read from there, or written. Never rejects. The programs are started
   * while the host is still asked whether they can be used, on a long way two round trips sooner: until then nothing is asked of them.
   */
  async prepare(root: string, purpose: Purpose, bytes: number): Promise<void> {
    if (purpose === 'list' || this.#known() === false) return
    if (purpose === 'read') this.#reads.prepare(root)
    if (purpose === 'list-to-write') this.#receivers.prepareToWait(root, bytes)
    const receives = purpose === 'write' && this.#receivers.prepare(root, bytes)
    if (!(await this.#hasPrograms())) return this.#without()
    if (purpose !== 'write') return
    const swept = this.#writes.sweepOnce(root).catch(() => undefined)
    await receives
    const isReceived = await this.#receivers.prepareOn(root, bytes)
    if (!isReceived) await this.#writes.prepare(root).catch(() => undefined) // whoever writes is told
    await swept
  }

  /** Ends what was started for nothing, once that is known. */
  #without(): void {
    if (this.#known() !== false) return
    this.#reads.close()
    this.#receivers.stop()
  }

  /** The file's bytes, as many as the entry says; `null` when it is large, or isn't so long any more. */
  async read(root: SftpRoot, path: string, entry: FileEntry, bySftp: () => Promise<Buffer | null>): Promise<Buffer | null> {
    if (entry.size === 0 || entry.size > SMALL_BYTES) return null
    // tar finds its way by itself: only below a folder that was seen to be one.
    return root.knows(parentOf(path)) ? this.#reads.read(root.full(''), path, entry, bySftp) : bySftp()
  }

  /** `root`: absolute, on the host. */
  write(root: string, path: string, whole: Whole, options: WriteOptions, ways: Ways): Promise<WrittenFile> {
    if (this.#adrift.isSettled) return this.#write(root, path, whole, options, ways)
    return this.#adrift.settle().then(() => this.#write(root, path, whole, options, ways))
  }

  #write(root: string, path: string, whole: Whole, options: WriteOptions, ways: Ways): Promise<WrittenFile> {
    const { place, isReady, bySftp } = ways
    const { bytes, sha256 } = whole
    const { mode, mtimeSeconds } = options
    // Without a mode the host gives its own, and only some times can be told to its programs.
    if (bytes.length > SMALL_BYTES || mode === null || !canBeTold(mtimeSeconds)) return bySftp()
    const written = { size: bytes.length, sha256 }
    const renamed = async (from: string): Promise<WrittenFile> => {
      try {
        await place(from)
      } catch {
        // Written where it belongs, which also tells what is wrong.
        return bySftp()
      }
      return written
    }
    const without = (): Promise<WrittenFile> => this.#writes.write(root, { bytes, mode, mtimeSeconds }, renamed, bySftp)
    // What is to be replaced is looked at right before a rename of our own.
    if (options.replaces !== undefined) return without()
    const file = { path, part: partPath(path), bytes, mode, mtimeSeconds }
    return this.#receivers.write(root, file, { written, isReady, ready: () => place(null), oneByOne: bySftp, without })
  }

  /** A name for a part in a folder, that no other one has. */
  readonly newPart = (folder: string): LanePart => this.#adrift.newPart(folder)

  /** Is to be told of what listings show. */
  see(path: string): void {
    this.#adrift.see(path)
  }

  /** To be awaited before anything is written: what nobody hears of any more can give no name from then on. */
  settle(): Promise<void> {
    return this.#adrift.settle()
  }

  /** `root`: absolute, on the host. Returns when no folder of files on their way is left there. */
  async sweep(root: string): Promise<void> {
    await Promise.all([this.#receivers.sweep(), this.#writes.sweep(root)])
    await this.#adrift.settle()
  }

  /** Brings what was written to the host's disk by a program that is at work there; false when there is none, or it couldn't. */
  sync(): Promise<boolean> {
    return this.#receivers.sync()
  }

  async close(): Promise<void> {
    this.#reads.close()
    await Promise.all([this.#receivers.close(), this.#writes.close()])
  }
}
