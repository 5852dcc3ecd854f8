import type { FileEntryWithStats, InputAttributes, SFTPWrapper, Stats } from 'ssh2'
import { formatDuration } from '../../base/units.ts'
import { isRaw } from '../raw-names.ts'
import { member } from './insides.ts'
import { sendRawNames } from './raw-packets.ts'
import { sendContent, sendExtended } from './requests.ts'
import { Silence } from './silence.ts'

/** Status codes of draft-ietf-secsh-filexfer-02, section 7. */
export const STATUS = {
  eof: 1,
  missing: 2,
  denied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const

/** Open flags of draft-ietf-secsh-filexfer-02, section 6.3. */
export const OPEN = { read: 0x01, write: 0x02, create: 0x08, truncate: 0x10, exclusive: 0x20 } as const

export interface Statvfs {
  /** Bytes that an ordinary account may still use. */
  readonly freeBytes: number
  /** Files that may still be made; `null` where the file system doesn't count them. */
  readonly freeFiles: number | null
}

/**
 * The requests of an SFTP session as promises, nothing more. They may be sent without waiting for one another; requests about one
 * file are answered in order (draft-ietf-secsh-filexfer-02, section 6.1). Rejects with ssh2's error: `code` is the status, or
 * there is none when the connection broke.
 */
export class SftpChannel {
  readonly #sftp: SFTPWrapper
  readonly #waiting = new Set<(error: Error) => void>()
  readonly #silence: Silence
  #lost: Error | undefined

  /** `silenceMs`: a server that leaves every request unanswered for so long is taken for lost, and hung up on. */
  constructor(sftp: SFTPWrapper, silenceMs: number, hangUp: () => void) {
    this.#sftp = sftp
    this.#silence = new Silence(silenceMs, () => {
      this.lose(new Error(`no answer came for ${formatDuration(silenceMs)}`))
      hangUp()
    })
    for (const event of ['close', 'end'])
      sftp.on(event, () => this.lose(new Error('the connection was closed by the other side')))
    sftp.on('error', (error: Error) => this.lose(error))
  }

  get isLost(): boolean {
    return this.#lost !== undefined
  }

  /** The shortest time in which it was answered, milliseconds; `Infinity` before the first answer. */
  get shortestMs(): number {
    return this.#silence.shortestMs
  }

  /** The connection is gone: whoever waits for an answer is told now (ssh2 leaves requests sent on a closed channel unanswered). */
  lose(error: Error): void {
    if (this.#lost !== undefined) return
    this.#lost = error
    this.#silence.end()
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const reject of waiting) reject(error)
  }

  /** Whether the server announced an extension (OpenSSH's PROTOCOL file, section 4). */
  has(extension: string): boolean {
    const extensions = member(this.#sftp, '_extensions')
    return typeof extensions === 'object' && extensions !== null && extension in extensions
  }

  /** The largest read and write that the server takes in one request, bytes (limits@openssh.com; 32 KiB is everybody's). */
  get maxTransfer(): number {
    const limits = ['_maxReadLen', '_maxWriteLen'].map((name) => member(this.#sftp, name))
    const known = limits.filter((limit): limit is number => typeof limit === 'number' && limit > 0)
    return Math.max(4096, Math.min(...known))
  }

  open(path: string, flags: number, mode: number | null = null): Promise<Buffer> {
    return this.#ask((answer) => this.#sftp.open(path, flags, mode === null ? {} : { mode }, answer), path)
  }

  close(handle: Buffer): Promise<void> {
    return this.#ask((answer) => this.#sftp.close(handle, answer))
  }

  /** Reads into all of `into`, or as far as the server gives at once; 0 at the end of the file. */
  read(handle: Buffer, into: Buffer, position: number): Promise<number> {
    return this.#ask((answer) => this.#sftp.read(handle, into, 0, into.length, position, answer))
  }

  /** `bytes` are to be left as they are until it is answered. */
  write(handle: Buffer, bytes: Buffer, position: number): Promise<void> {
    return this.#ask<void>((answer) => {
      if (bytes.length > 0 && sendContent(this.#sftp, handle, bytes, position, (error) => answer(error, undefined))) return
      this.#sftp.write(handle, bytes, 0, bytes.length, position, answer)
    })
  }

  /** Brings an open file to the disk; only where `fsync@openssh.com` is announced. */
  flush(handle: Buffer): Promise<void> {
    return this.#ask<unknown>((answer) => this.#sftp.ext_openssh_fsync(handle, answer)).then(() => undefined)
  }

  /** A request that ssh2 doesn't know; gives what follows the header of the reply. Rejects as `unsupported` where it can't be sent, too. */
  extended(name: string, body: Buffer): Promise<Buffer> {
    return this.#ask<Buffer>((answer) => {
      const taken = (error: Error | null | undefined, reply?: Buffer): void => answer(error, reply ?? Buffer.alloc(0))
      if (!sendExtended(this.#sftp, name, body, taken))
        taken(Object.assign(new Error('this version of ssh2 has no way to ask it'), { code: STATUS.unsupported }))
    })
  }

  setHandleAttributes(handle: Buffer, attributes: InputAttributes): Promise<void> {
    return this.#ask((answer) => this.#sftp.fsetstat(handle, attributes, answer))
  }

  setAttributes(path: string, attributes: InputAttributes): Promise<void> {
    return this.#ask((answer) => this.#sftp.setstat(path, attributes, answer), path)
  }

  /** Links not followed. */
  lstat(path: string): Promise<Stats> {
    return this.#ask((answer) => this.#sftp.lstat(path, answer), path)
  }

  stat(path: string): Promise<Stats> {
    return this.#ask((answer) => this.#sftp.stat(path, answer), path)
  }

  openFolder(path: string): Promise<Buffer> {
    return this.#ask((answer) => this.#sftp.opendir(path, answer), path)
  }

  /** The next names of an open folder; `null` when there are no more. */
  async readFolder(handle: Buffer): Promise<readonly FileEntryWithStats[] | null> {
    try {
      return await this.#ask((answer) => this.#sftp.readdir(handle, answer))
    } catch (error) {
      if (statusOf(error) === STATUS.eof) return null
      throw error
    }
  }

  readLink(path: string): Promise<string> {
    return this.#ask((answer) => this.#sftp.readlink(path, answer), path)
  }

  makeLink(path: string, target: string): Promise<void> {
    return this.#ask((answer) => this.#sftp.symlink(target, path, answer), target + path)
  }

  makeFolder(path: string): Promise<void> {
    return this.#ask((answer) => this.#sftp.mkdir(path, answer), path)
  }

  removeFolder(path: string): Promise<void> {
    return this.#ask((answer) => this.#sftp.rmdir(path, answer), path)
  }

  remove(path: string): Promise<void> {
    return this.#ask((answer) => this.#sftp.unlink(path, answer), path)
  }

  /** Fails when the target exists (section 6.5 of the draft), except on servers that read it otherwise. */
  rename(from: string, to: string): Promise<void> {
    return this.#ask((answer) => this.#sftp.rename(from, to, answer), from + to)
  }

  /** Replaces the target in one step; only where `posix-rename@openssh.com` is announced. */
  replace(from: string, to: string): Promise<void> {
    return this.#ask((answer) => this.#sftp.ext_openssh_rename(from, to, answer), from + to)
  }

  realPath(path: string): Promise<string> {
    return this.#ask((answer) => this.#sftp.realpath(path, answer), path)
  }

  /** Only where `statvfs@openssh.com` is announced. */
  async space(path: string): Promise<Statvfs> {
    const info = await this.#ask<Readonly<Record<string, unknown>>>(
      (answer) => this.#sftp.ext_openssh_statvfs(path, answer),
      path,
    )
    const number = (name: string): number => Number(info[name] ?? 0)
    return {
      freeBytes: number('f_bavail') * number('f_frsize'),
      freeFiles: number('f_files') === 0 ? null : number('f_favail'),
    }
  }

  /** `paths`: those that the request holds. */
  #ask<T>(send: (answer: Answer<T>) => void, paths = ''): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) return reject(this.#lost)
      this.#waiting.add(reject)
      this.#silence.asked()
      const answer: Answer<T> = (error, value) => {
        this.#waiting.delete(reject)
        this.#silence.answered()
        if (error) reject(error)
        else resolve(value)
      }
      if (isRaw(paths)) sendRawNames(this.#sftp, () => send(answer))
      else send(answer)
    })
  }
}

type Answer<T> = (error: Error | null | undefined, value: T, ...rest: readonly unknown[]) => void

/** The SFTP status that an error carries; `undefined` for a broken connection. */
export const statusOf = (error: unknown): number | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : undefined
