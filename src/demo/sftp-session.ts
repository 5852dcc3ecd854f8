import * as fs from 'node:fs'
import { join, posix } from 'node:path'
import type { Attributes, SFTPWrapper } from 'ssh2'
import { codeOf, messageOf } from '../base/errors.ts'

/** What goes wrong on purpose. Each count goes down as bytes pass; the fault happens when it reaches 0. Absent = never. */
export interface SftpFaults {
  /** The connection is cut after so many bytes of file content, in either direction. */
  cutAfterBytes?: number | undefined
  /** The disk is full after so many bytes written. */
  diskFullAfterBytes?: number | undefined
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

type Handle = { readonly fd: number } | { readonly folder: string; names: string[] | null }

/** Answers one SFTP session (protocol version 3). Requests are answered at once and therefore in order. */
export function serveSftp(sftp: SFTPWrapper, session: Session): void {
  const handles = new Map<number, Handle>()
  let lastHandle = 0
  const real = (path: string): string => join(session.folder, posix.normalize(`/${path}`))
  const fdOf = (id: Buffer): number => {
    const handle = handles.get(id.readUInt32BE(0))
    if (handle === undefined || !('fd' in handle)) throw new Error('no such handle')
    return handle.fd
  }
  const give = (request: number, handle: Handle): void => {
    lastHandle += 1
    handles.set(lastHandle, handle)
    const id = Buffer.alloc(4)
    id.writeUInt32BE(lastHandle)
    sftp.handle(request, id)
  }
  const answer = (request: number, work: () => void): void => {
    try {
      work()
    } catch (error) {
      sftp.status(request, statusFor(error), textFor(error))
    }
  }
  const write = (request: number, work: () => void): void => {
    session.wrote()
    answer(request, () => {
      if (session.readOnly) throw Object.assign(new Error('Permission denied'), { code: 'EACCES' })
      work()
      sftp.status(request, STATUS.ok)
    })
  }
  sftp.on('error', () => session.cut())
  sftp.on('close', () => {
    for (const handle of handles.values()) if ('fd' in handle) fs.closeSync(handle.fd)
    handles.clear()
  })

  sftp.on('OPEN', (request, path, flags, attributes) => {
    const writes = (flags & ~FLAG.read) !== 0
    if (writes) session.wrote()
    if (writes && session.readOnly) return sftp.status(request, STATUS.denied, 'Permission denied')
    answer(request, () => give(request, { fd: fs.openSync(real(path), systemFlags(flags), attributes.mode ?? 0o666) }))
  })
  sftp.on('READ', (request, id, offset, length) => {
    answer(request, () => {
      const bytes = Buffer.allocUnsafe(Math.min(length, 256 * 1024))
      const count = fs.readSync(fdOf(id), bytes, 0, bytes.length, offset)
      if (passes(session, count)) sftp.status(request, STATUS.eof)
      else if (count === 0) sftp.status(request, STATUS.eof)
      else sftp.data(request, bytes.subarray(0, count))
    })
  })
  sftp.on('WRITE', (request, id, offset, data) => {
    write(request, () => {
      const { faults } = session
      if (faults.diskFullAfterBytes !== undefined) {
        if (data.length > faults.diskFullAfterBytes) throw Object.assign(new Error('No space left on device'), { code: 'ENOSPC' })
        faults.diskFullAfterBytes -= data.length
      }
      if (passes(session, data.length)) return
      fs.writeSync(fdOf(id), data, 0, data.length, offset)
    })
  })
  sftp.on('CLOSE', (request, id) => {
    answer(request, () => {
      const handle = handles.get(id.readUInt32BE(0))
      handles.delete(id.readUInt32BE(0))
      if (handle !== undefined && 'fd' in handle) fs.closeSync(handle.fd)
      sftp.status(request, STATUS.ok)
    })
  })
  sftp.on('FSTAT', (request, id) => answer(request, () => sftp.attrs(request, attributesOf(fs.fstatSync(fdOf(id))))))
  sftp.on('LSTAT', (request, path) => answer(request, () => sftp.attrs(request, attributesOf(fs.lstatSync(real(path))))))
  sftp.on('STAT', (request, path) => answer(request, () => sftp.attrs(request, attributesOf(fs.statSync(real(path))))))
  sftp.on('FSETSTAT', (request, id, attributes) => {
    write(request, () => {
      const fd = fdOf(id)
      if (attributes.mode !== undefined) fs.fchmodSync(fd, attributes.mode & 0o7777)
      if (attributes.mtime !== undefined) fs.futimesSync(fd, attributes.atime, attributes.mtime)
    })
  })
  sftp.on('SETSTAT', (request, path, attributes) => {
    write(request, () => {
      if (attributes.mode !== undefined) fs.chmodSync(real(path), attributes.mode & 0o7777)
      if (attributes.mtime !== undefined) fs.utimesSync(real(path), attributes.atime, attributes.mtime)
    })
  })
  sftp.on('OPENDIR', (request, path) =>
    answer(request, () => give(request, { folder: real(path), names: fs.readdirSync(real(path)) })),
  )
  sftp.on('READDIR', (request, id) => {
    answer(request, () => {
      const handle = handles.get(id.readUInt32BE(0))
      if (handle === undefined || 'fd' in handle) throw new Error('no such handle')
      const names = handle.names?.splice(0, 100) ?? []
      if (names.length === 0) return sftp.status(request, STATUS.eof)
      const entries = names.flatMap((name) => entryOf(handle.folder, name))
      sftp.name(request, entries)
    })
  })
  sftp.on('REALPATH', (request, path) => {
    const filename = posix.normalize(`/${path}`).replace(/(?<=.)\/$/, '')
    sftp.name(request, [{ filename, longname: filename, attrs: attributesOf(fs.statSync(session.folder)) }])
  })
  sftp.on('READLINK', (request, path) => {
    answer(request, () => {
      const target = fs.readlinkSync(real(path))
      sftp.name(request, [{ filename: target, longname: target, attrs: attributesOf(fs.lstatSync(real(path))) }])
    })
  })
  sftp.on('SYMLINK', (request, target, link) => write(request, () => fs.symlinkSync(target, real(link))))
  sftp.on('REMOVE', (request, path) => write(request, () => fs.unlinkSync(real(path))))
  sftp.on('MKDIR', (request, path) => write(request, () => fs.mkdirSync(real(path))))
  sftp.on('RMDIR', (request, path) => write(request, () => fs.rmdirSync(real(path))))
  sftp.on('RENAME', (request, from, to) => {
    write(request, () => {
      // "It is an error if there already exists a file with the name specified by newpath" (section 6.5).
      if (fs.lstatSync(real(to), { throwIfNoEntry: false }) !== undefined) throw new Error('the new name exists already')
      fs.renameSync(real(from), real(to))
    })
  })
}

/** Counts content that passes; true when the connection was cut instead. */
function passes(session: Session, count: number): boolean {
  const { faults } = session
  if (faults.cutAfterBytes === undefined) return false
  faults.cutAfterBytes -= count
  if (faults.cutAfterBytes > 0) return false
  faults.cutAfterBytes = undefined
  session.cut()
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

const textFor = (error: unknown): string => (codeOf(error) === 'ENOSPC' ? 'No space left on device' : messageOf(error))
