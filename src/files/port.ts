import type { Readable } from 'node:stream'
import type { Finding } from '../base/errors.ts'

export interface FileEntry {
  /** Relative to the host's root, `/` between parts, no leading `/`, no `.` or `..`; bytes that aren't UTF-8 as raw-names.ts has them. */
  readonly path: string
  /** `other`: a socket, a device, a named pipe; listed, so that nothing is left out unseen, but never copied. */
  readonly kind: 'file' | 'folder' | 'link' | 'other'
  /** Bytes; 0 for folders and links. */
  readonly size: number
  /** Permission bits (0o7777); `null` where the host has none. */
  readonly mode: number | null
  /** Seconds since 1970, to the precision that the host keeps (SFTP: whole seconds). */
  readonly mtimeSeconds: number
  /** Where a link points, as written in it; `null` for others. */
  readonly target: string | null
}

/**
 * How deep a listing goes: what lies in the folder itself, all below it, or only into those folders below it that the function wants looked
 * into. One that it doesn't want is named, and never opened: it may be one that the account may not read.
 */
export type ListDepth = 'here' | 'below' | ((folder: string) => boolean)

/** What a lot of is about to be done with a host; `list-to-write`: it is listed, to see what is to be written then. */
export type Purpose = 'list' | 'list-to-write' | 'read' | 'write'

export interface WriteOptions {
  readonly mode: number | null
  readonly mtimeSeconds: number
  /**
   * What the caller knows to stand under the name, `null` for nothing: it is looked at once more right before the rename, and when it is
   * something else by then, nothing is replaced and MigrateError `file-changed-meanwhile` is thrown. Absent: whatever stands there goes.
   */
  readonly replaces?: FileEntry | null
  /**
   * Opens the same content once more. With it, a part of a large file that stands there from an earlier try is gone on with, once it is
   * proven to be the content's beginning (by the host's own hash of it, or by reading it back); and what has arrived when the connection
   * breaks is left there for the next try.
   */
  readonly again?: () => Readable
}

export interface ReadOptions {
  readonly offset?: number
  readonly entry?: FileEntry
  readonly signal?: AbortSignal
}

export interface WrittenFile {
  readonly size: number
  /** SHA-256 of the content, hexadecimal: of the bytes sent, and before them of those that an earlier try had sent. */
  readonly sha256: string
  /** Bytes that an earlier try had sent and that were not sent again; absent when there were none. */
  readonly resumedAt?: number
  /** The host did not take the time that the file was to have, and keeps that of its arrival. */
  readonly untimed?: true
}

/** What the host can do beyond the port; found by asking it, not assumed. */
export interface FilePowers {
  /** A rename replaces the target in one step. */
  readonly atomicReplace: boolean
  readonly links: boolean
  readonly modes: boolean
  /** Free bytes can be asked for. */
  readonly freeSpace: boolean
  /** A file's time can be set; where not, the host keeps the time of its arrival. */
  readonly times: boolean
  /** How the host hashes a file by itself, for people ("sha256sum over SSH"); `null`: what stands there has to be read back. */
  readonly hash: string | null
  /** Names that differ in case alone are the same; `null` when nothing there told. */
  readonly foldsCase: boolean | null
  /** What a name may be: any `bytes` (Unix), any `unicode`, or what Windows takes (windows-names.ts). */
  readonly names: 'bytes' | 'unicode' | 'windows'
  /** A name may hold a line break, and the byte 0xFF: not over FTP. */
  readonly lineBreaks: boolean
  /** A file can be read from any byte on. */
  readonly offsets: boolean
  /** The earliest and the latest time that a file may have there, seconds since 1970: another one becomes the nearer of the two. */
  readonly timeRange: readonly [number, number]
  /** To how many seconds the host tells when a file was changed: what changes twice within them looks the same. */
  readonly timeSeconds: number
  /** What `sweep` brings to the host's disk: all that was written, large and single files alone, or nothing. */
  readonly flushes: 'all' | 'large' | 'nothing'
  /** A file can be copied within the host, without a way here and back (copy-data). */
  readonly copies: boolean
  /** What is changed on the way is noticed (SSH, TLS, no network at all); over plain FTP only a hash tells. */
  readonly sealed: boolean
}

/**
 * A folder on one host: the shop's site. The contract, kept by every adapter and fake, is tested by test/contract/files.ts.
 * Paths are relative to the root and never leave it: one that would (`..`, absolute, through a link) is refused with
 * MigrateError `path-escapes-root`.
 *
 * Errors are MigrateErrors: `files-unreachable`, `files-login-failed`, `files-host-key-unknown`, `files-host-key-changed`,
 * `file-missing`, `file-permission-denied`, `files-disk-full`, `files-connection-lost` (retrySafe: nothing of a file is visible
 * under its name before it is whole), `files-failed`, `file-changed-meanwhile`.
 */
export interface FileHost {
  /** For messages: "sftp://site@old.example.com/site". Never holds a password. */
  readonly label: string
  /** The shortest time in which the host has answered, milliseconds; `Infinity` as long as it hasn't. Absent where that isn't known. */
  wayMs?(): number
  /** Connects and reports what it found. */
  powers(): Promise<FilePowers>
  /** Read-only: the root is there and can be read, and written when `purpose` says so (asked by permissions, not by trying). */
  check(purpose: 'read' | 'write'): Promise<readonly Finding[]>
  /**
   * Every entry below the root (or below `folder`), in the order of `comparePaths` (files/paths.ts): folders before what they
   * hold. A folder that can't be listed, or a listing that ends early, throws: never a partial list taken as whole. A folder that
   * isn't there throws `file-missing`. What goes while it is listed (a cache that is emptied) may be left out, once the host has said
   * again that it is gone.
   */
  list(folder?: string, signal?: AbortSignal, depth?: ListDepth): AsyncIterable<FileEntry>
  /** One entry, links not followed; `undefined` when it isn't there. */
  stat(path: string): Promise<FileEntry | undefined>
  /**
   * The file's bytes from `offset` on. Errors arrive through the stream. `entry`: what `list` or `stat` just said of it, which
   * saves asking again what it is and how long; no more than its size is read then.
   */
  read(path: string, options?: ReadOptions): Promise<Readable>
  /**
   * Writes a whole file: into a temporary name in the same folder, then mode and mtime, then a rename over the target. Missing
   * folders are made. A leftover of an earlier try is overwritten. When it returns, the bytes are under the name, whole.
   */
  write(path: string, content: Readable, options: WriteOptions, signal?: AbortSignal): Promise<WrittenFile>
  /** Makes the folder and those above it; sets the mode where given; no error when it is there. */
  makeFolder(path: string, mode: number | null): Promise<void>
  /** Makes or replaces a link. Its target must stay within the root. */
  link(path: string, target: string): Promise<void>
  /** Removes a file or link; no error when it isn't there. */
  remove(path: string): Promise<void>
  /** Removes an empty folder; no error when it isn't there or isn't empty. */
  removeFolder(path: string): Promise<void>
  /** SHA-256 of the file as it stands on the host, hexadecimal; by the server where it can, by reading otherwise. */
  sha256(path: string, signal?: AbortSignal): Promise<string>
  /**
   * SHA-256 of files by the host alone, hexadecimal, in the order asked for: nothing of them is read over the network. `null` for one
   * that it can't hash (not there, not allowed, no such power): `sha256` tells what is the matter.
   */
  hashes(paths: readonly string[], signal?: AbortSignal): Promise<readonly (string | null)[]>
  /** Free bytes; `null` when the host can't say. */
  freeBytes(): Promise<number | null>
  /** How many files more fit (inodes); `null` when the host can't say or doesn't count them. */
  freeFiles(): Promise<number | null>
  /**
   * Many files are about to be listed, and perhaps more, or many small ones read, or written: begins what takes a while to begin, such as further
   * connections or a program on the host, without waiting for it. Only `write` changes anything there. `bytes`: of all of them, where that is known.
   * Absent where there is nothing to begin.
   */
  prepare?(purpose: Purpose, bytes?: number): void
  /**
   * What was written settles: before a step counts as done. Nothing of it is still under a name of this program's own making (a folder in which
   * many files arrive together, an old file that stepped aside), what one that was killed has left of those is removed or put back, and, as far
   * as the host can be asked for it, all of it is on the disk, so that a power cut there takes none of it: on this machine always; over SFTP where
   * the account can run commands, and elsewhere (fsync@openssh.com) large files and single ones; over FTP never. Until then, whoever reads sees
   * every file whole, but a power cut may take it. Absent where there is nothing to do.
   */
  sweep?(): Promise<void>
  /**
   * What came up at work since this was asked last and people should know, such as a faster way that a host turned out not to have, as whole
   * sentences. Absent where nothing ever does.
   */
  remarks?(): readonly string[]
  close(): Promise<void>
}

/** Runs commands on a host; present where the files protocol gives a shell. */
export interface Shell {
  readonly label: string
  run(command: string, signal?: AbortSignal): Promise<{ readonly exit: number; readonly stdout: string; readonly stderr: string }>
}
