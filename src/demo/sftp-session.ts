import * as fs from 'node:fs'
import { join, posix } from 'node:path'
import type { Attributes, SFTPWrapper } from 'ssh2'
import { codeOf, messageOf } from '../base/errors.ts'
import { Answers } from './sftp-answers.ts'

/** What goes wrong on purpose. Each count goes down as bytes pass; the fault happens when it reaches 0. Absent = never. */
export interface SftpFaults {
  /** The connection is cut after so many bytes of file content, in either direction. */
  cutAfterBytes?: number | undefined
  /** The disk is full after so many bytes written. */
  diskFullAfterBytes?: number | undefined
  /** What is full is the account's quota: protocol version 3 has no status for it, but words. */
  quota?: boolean | undefined
  /** A path whose listing and reading is refused to every account. */
  denied?: string | undefined
  /** Answers that are ready together are sent the last one first. */
  outOfOrder?: boolean | undefined
  /** A file is said to end there, though it has more. */
  endsAtByte?: number | undefined
  /** A link that goes at the moment at which it is asked where it points. */
  vanishing?: string | undefined
  /** Whether a renaming that could be done is refused, or the connection cut before it. */
  renaming?: ((from: string, to: string) => 'refused' | 'cut' | undefined) | undefined
  /** Nothing is answered any more, though the connection stands. */
  mute?: boolean | undefined
}

interface Session {
  readonly folder: string
  readonly readOnly: boolean
  readonly faults: SftpFaults
  wrote(): void
  cut(): void
}

/** Status codes and open flags of draft-ietf-secsh-filexfer-02, sections 7 and 6.3. */
const STATUS = { ok: 0, eof: 1, missing: 2, denied: 3, failure: 4, unsupported: 8 } as const
const FLAG = { read: 0x01, write: 0x02, append: 0x04, create: 0x08, truncate: 0x10, exclusive: 0x20 } as const

type Handle = { readonly fd: number } | { readonly folder: string; readonly names: string[] }

/** Answers one SFTP session (protocol version 3). Requests are answered at once and therefore in order. */
export function serveSftp(sftp: SFTPWrapper, session: Session): void {
  const desk = new Desk(sftp, session)
  sftp.on('error', () => session.cut())
  sftp.on('close', () => desk.closeAll())
  serveContents(sftp, desk)
  serveAttributes(sftp, desk)
  serveFolders(sftp, desk)
  serveNames(sftp, desk)
}

/** What the requests of a session share: its open handles, its folder and the one way of answering. */
class Desk {
  readonly session: Session
  readonly answers: Answers
  isCut = false
  readonly #handles = new Map<number, Handle>()
  #last = 0

  constructor(sftp: SFTPWrapper, session: Session) {
    this.answers = new Answers(sftp, session.faults)
    this.session = session
  }

  /** The path on this machine; `..` doesn't lead out of the folder. */
  real(path: string): string {
    return join(this.session.folder, posix.normalize(`/${path}`))
  }

  give(request: number, handle: Handle): void {
    this.#last += 1
    this.#handles.set(this.#last, handle)
    const id = Buffer.alloc(4)
    id.writeUInt32BE(this.#last)
    this.answers.handle(request, id)
  }

  fd(id: Buffer): number {
    const handle = this.#handles.get(id.readUInt32BE(0))
    if (handle === undefined || !('fd' in handle)) throw new Error('no such handle')
    return handle.fd
  }

  folder(id: Buffer): { readonly folder: string; readonly names: string[] } {
    const handle = this.#handles.get(id.readUInt32BE(0))
    if (handle === undefined || 'fd' in handle) throw new Error('no such handle')
    return handle
  }

  close(id: Buffer): void {
    const handle = this.#handles.get(id.readUInt32BE(0))
    this.#handles.delete(id.readUInt32BE(0))
    if (handle !== undefined && 'fd' in handle) fs.closeSync(handle.fd)
  }

  closeAll(): void {
    for (const handle of this.#handles.values()) if ('fd' in handle) fs.closeSync(handle.fd)
    this.#handles.clear()
  }

  /** Sends what `work` sends, or the status of its error. */
  answer(request: number, work: () => void): void {
    try {
      work()
    } catch (error) {
      this.answers.status(request, statusFor(error), textFor(error))
    }
  }

  /** Refuses the account that may only read; otherwise answers with the outcome of `work`. */
  write(request: number, work: () => void): void {
    this.answer(request, () => {
      this.mayWrite()
      work()
      this.answers.status(request, STATUS.ok)
    })
  }

  mayWrite(): void {
    this.session.wrote()
    if (this.session.readOnly) throw refused()
  }

  mayRead(path: string): void {
    const { denied } = this.session.faults
    if (denied !== undefined && this.real(path) === this.real(denied)) throw refused()
  }
}

function serveContents(sftp: SFTPWrapper, desk: Desk): void {
  sftp.on('OPEN', (request, path, flags, attributes) => {
    desk.answer(request, () => {
      if ((flags & ~FLAG.read) !== 0) desk.mayWrite()
      desk.mayRead(path)
      desk.give(request, { fd: fs.openSync(desk.real(path), systemFlags(flags), attributes.mode ?? 0o666) })
    })
  })
  sftp.on('READ', (request, id, offset, length) => {
    desk.answer(request, () => {
      const bytes = Buffer.allocUnsafe(Math.min(length, 256 * 1024))
      const most = Math.min(bytes.length, Math.max(0, (desk.session.faults.endsAtByte ?? Number.POSITIVE_INFINITY) - offset))
      const count = fs.readSync(desk.fd(id), bytes, 0, most, offset)
      if (isCut(desk, count)) return
      if (count === 0) desk.answers.status(request, STATUS.eof)
      else desk.answers.data(request, bytes.subarray(0, count))
    })
  })
  sftp.on('WRITE', (request, id, offset, data) => {
    desk.write(request, () => {
      const { faults } = desk.session
      if (faults.diskFullAfterBytes !== undefined) {
        if (data.length > faults.diskFullAfterBytes) throw full(faults.quota === true)
        faults.diskFullAfterBytes -= data.length
      }
      if (isCut(desk, data.length)) return
      fs.writeSync(desk.fd(id), data, 0, data.length, offset)
    })
  })
  sftp.on('CLOSE', (request, id) => {
    desk.answer(request, () => {
      desk.close(id)
      desk.answers.status(request, STATUS.ok)
    })
  })
}

function serveAttributes(sftp: SFTPWrapper, desk: Desk): void {
  const tell = (request: number, stats: () => fs.Stats): void => {
    desk.answer(request, () => desk.answers.attrs(request, attributesOf(stats())))
  }
  sftp.on('FSTAT', (request, id) => tell(request, () => fs.fstatSync(desk.fd(id))))
  sftp.on('LSTAT', (request, path) => tell(request, () => fs.lstatSync(desk.real(path))))
  sftp.on('STAT', (request, path) => tell(request, () => fs.statSync(desk.real(path))))
  sftp.on('FSETSTAT', (request, id, attributes) => {
    desk.write(request, () => {
      if (attributes.mode !== undefined) fs.fchmodSync(desk.fd(id), attributes.mode & 0o7777)
      if (attributes.mtime !== undefined) fs.futimesSync(desk.fd(id), attributes.atime, attributes.mtime)
    })
  })
  sftp.on('SETSTAT', (request, path, attributes) => {
    desk.write(request, () => {
      if (attributes.mode !== undefined) fs.chmodSync(desk.real(path), attributes.mode & 0o7777)
      if (attributes.mtime !== undefined) fs.utimesSync(desk.real(path), attributes.atime, attributes.mtime)
    })
  })
}

function serveFolders(sftp: SFTPWrapper, desk: Desk): void {
  sftp.on('OPENDIR', (request, path) => {
    desk.answer(request, () => {
      desk.mayRead(path)
      desk.give(request, { folder: desk.real(path), names: fs.readdirSync(desk.real(path)) })
    })
  })
  sftp.on('READDIR', (request, id) => {
    desk.answer(request, () => {
      const { folder, names } = desk.folder(id)
      if (names.length === 0) return desk.answers.status(request, STATUS.eof)
      desk.answers.name(
        request,
        names.splice(0, 100).flatMap((name) => entryOf(folder, name)),
      )
    })
  })
  sftp.on('MKDIR', (request, path) => desk.write(request, () => fs.mkdirSync(desk.real(path))))
  sftp.on('RMDIR', (request, path) => desk.write(request, () => fs.rmdirSync(desk.real(path))))
}

function serveNames(sftp: SFTPWrapper, desk: Desk): void {
  const name = (request: number, filename: string, stats: fs.Stats): void =>
    desk.answers.name(request, [{ filename, longname: filename, attrs: attributesOf(stats) }])
  sftp.on('REALPATH', (request, path) => {
    desk.answer(request, () => name(request, posix.resolve('/', path), fs.statSync(desk.session.folder)))
  })
  sftp.on('READLINK', (request, path) => {
    const { vanishing } = desk.session.faults
    if (vanishing !== undefined && desk.real(path) === desk.real(vanishing)) fs.rmSync(desk.real(path), { force: true })
    desk.answer(request, () => name(request, fs.readlinkSync(desk.real(path)), fs.lstatSync(desk.real(path))))
  })
  // ssh2 gives the link first, whichever order the client has (its types say otherwise).
  sftp.on('SYMLINK', (request, link, target) => desk.write(request, () => fs.symlinkSync(target, desk.real(link))))
  sftp.on('REMOVE', (request, path) => desk.write(request, () => fs.unlinkSync(desk.real(path))))
  sftp.on('RENAME', (request, from, to) => {
    desk.write(request, () => {
      // "It is an error if there already exists a file with the name specified by newpath" (section 6.5).
      if (fs.lstatSync(desk.real(to), { throwIfNoEntry: false }) !== undefined) throw new Error('the new name exists already')
      const wrong = desk.session.faults.renaming?.(from, to)
      if (wrong === 'cut') desk.session.cut()
      if (wrong !== undefined) throw new Error('it was refused on purpose')
      fs.renameSync(desk.real(from), desk.real(to))
    })
  })
}

/** Counts content that passes; true when the connection was cut instead: what came behind it never arrived. */
function isCut(desk: Desk, count: number): boolean {
  if (desk.isCut) return true
  const { faults, cut } = desk.session
  if (faults.cutAfterBytes === undefined) return false
  faults.cutAfterBytes -= count
  if (faults.cutAfterBytes > 0) return false
  faults.cutAfterBytes = undefined
  desk.isCut = true
  cut()
  return true
}

function entryOf(folder: string, name: string): { filename: string; longname: string; attrs: Attributes }[] {
  const stats = fs.lstatSync(join(folder, name), { throwIfNoEntry: false })
  return stats === undefined ? [] : [{ filename: name, longname: name, attrs: attributesOf(stats) }]
}

const attributesOf = (stats: fs.Stats): Attributes => ({
  mode: stats.mode,
  uid: stats.uid,
  gid: stats.gid,
  size: stats.size,
  atime: Math.floor(stats.atimeMs / 1000),
  mtime: Math.floor(stats.mtimeMs / 1000),
})

function systemFlags(flags: number): number {
  const { O_RDWR, O_WRONLY, O_RDONLY, O_APPEND, O_CREAT, O_TRUNC, O_EXCL } = fs.constants
  const access = (flags & FLAG.write) === 0 ? O_RDONLY : (flags & FLAG.read) === 0 ? O_WRONLY : O_RDWR
  const bit = (flag: number, system: number): number => ((flags & flag) === 0 ? 0 : system)
  return (
    access | bit(FLAG.append, O_APPEND) | bit(FLAG.create, O_CREAT) | bit(FLAG.truncate, O_TRUNC) | bit(FLAG.exclusive, O_EXCL)
  )
}

function statusFor(error: unknown): number {
  const code = codeOf(error)
  if (code === 'ENOENT' || code === 'ENOTDIR') return STATUS.missing
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return STATUS.denied
  return STATUS.failure
}

const full = (isQuota: boolean): Error =>
  isQuota
    ? Object.assign(new Error('Disk quota exceeded'), { code: 'EDQUOT' })
    : Object.assign(new Error('No space left on device'), { code: 'ENOSPC' })

const refused = (): Error => Object.assign(new Error('Permission denied'), { code: 'EACCES' })

const textFor = (error: unknown): string => (codeOf(error) === 'ENOSPC' ? 'No space left on device' : messageOf(error))
