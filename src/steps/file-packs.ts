import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writevSync,
} from 'node:fs'
import { join } from 'node:path'
import { refuseShort } from '../base/disk-full.ts'
import { codeOf } from '../base/errors.ts'

/** No pack grows beyond this by much: what is dropped from one is won back by copying the rest of it. */
const MOST_BYTES = 1024 * 1024 * 1024
/** After so many bytes or contents a pack is brought to the disk, beside the work: so much is looked through again after a kill. */
const SYNC_BYTES = 64 * 1024 * 1024
const SYNC_CONTENTS = 20_000
/** Contents that are read are cut from pieces of this size: a buffer of its own for each costs more than the reading. */
const SLAB = 256 * 1024
/** Packs that are held open for reading. */
const MOST_OPEN = 16

/** Where a content lies. */
export interface Place {
  readonly pack: number
  readonly start: number
  readonly length: number
}

/** The pack that this process appends to; nobody else does. */
interface Own {
  readonly number: number
  readonly file: number
  /** Bytes written, of those added, and of them on disk. */
  written: number
  added: number
  synced: number
  pending: Buffer[]
  /** Contents added since it was last brought to the disk. */
  unsynced: number
  /** Why bytes could not be brought to the disk: they may be lost without the next try saying so. */
  failure: Error | undefined
}

/**
 * Small contents one after the other in files ("packs") of a folder that are only ever appended to: cheaper than a file each, and than rows
 * of an index, which copies each twice. Every writer appends to a pack of its own, so that several may be at work on one folder. Where a
 * content lies is the index's to know, and what the index doesn't know of counts for nothing.
 */
export class Packs {
  readonly #folder: string
  readonly #open = new Map<number, number>()
  readonly #sizes = new Map<number, number>()
  #own: Own | undefined
  #slab: Buffer = Buffer.alloc(0)
  /** Files that are being brought to the disk: closed when they are there. */
  readonly #syncing = new Set<number>()

  constructor(directory: string) {
    this.#folder = join(directory, 'packs')
  }

  /** Where the next content will lie, of so many bytes. */
  next(length: number): Place {
    const own = this.#ownPack()
    return { pack: own.number, start: own.added, length }
  }

  /** Adds it; `flush` puts it there. */
  add(bytes: Buffer): void {
    const own = this.#ownPack()
    own.pending.push(bytes)
    own.unsynced += 1
    own.added += bytes.length
  }

  /** Writes what was added: a kill can't undo it. Throws what the system says, `ENOSPC` for a full disk; nothing counts as added then. */
  flush(): void {
    const own = this.#own
    if (own === undefined || own.pending.length === 0) return
    const [pending, length] = [own.pending, own.added - own.written]
    this.drop()
    refuseShort(writevSync(own.file, pending, own.written), length)
    own.written += length
    own.added = own.written
  }

  /** Forgets what was added and not written. */
  drop(): void {
    if (this.#own === undefined) return
    this.#own.pending = []
    this.#own.added = this.#own.written
  }

  /** The pack of this process; `undefined` when it has added nothing. */
  get own(): { readonly number: number; readonly written: number; readonly synced: number } | undefined {
    return this.#own
  }

  get isFull(): boolean {
    return this.#own !== undefined && this.#own.written >= MOST_BYTES
  }

  /** Brings what was written to the disk, at once. Throws what the system says, also of a try before. */
  syncNow(): void {
    const own = this.#own
    if (own === undefined) return
    if (own.failure !== undefined) throw own.failure
    if (own.synced === own.written) return
    fdatasyncSync(own.file)
    own.synced = own.written
  }

  /** The same beside other work, once enough has gathered. A failure is thrown by `syncNow`. */
  syncWhenDue(): void {
    const own = this.#own
    if (own === undefined || this.#syncing.has(own.file)) return
    if (own.written - own.synced < SYNC_BYTES && own.unsynced < SYNC_CONTENTS) return
    const { written, file } = own
    own.unsynced = 0
    this.#syncing.add(file)
    fdatasync(file, (error) => {
      this.#syncing.delete(file)
      if (error === null) own.synced = Math.max(own.synced, written)
      else own.failure = error
      if (this.#own !== own) closeSync(file)
    })
  }

  /** The bytes that lie there; fewer, or others, when the pack is damaged: the caller checks their hash. */
  read({ pack, start, length }: Place): Buffer {
    const file = this.#fileOf(pack)
    if (file === undefined) return Buffer.alloc(0)
    const bytes = this.#room(length)
    let got = 0
    for (let more = -1; more !== 0 && got < length; got += more) more = readSync(file, bytes, got, length - got, start + got)
    return bytes.subarray(0, got)
  }

  /** Whether the pack is long enough to have it. */
  holds({ pack, start, length }: Place): boolean {
    const end = start + length
    if ((this.#sizes.get(pack) ?? -1) < end) this.#sizes.set(pack, this.sizeOf(pack))
    return (this.#sizes.get(pack) ?? 0) >= end
  }

  /** Bytes of a pack; 0 when there is none. */
  sizeOf(pack: number): number {
    return statSync(this.#path(pack), { throwIfNoEntry: false })?.size ?? 0
  }

  /** Brings any pack to the disk. */
  syncOther(pack: number): void {
    const file = openSync(this.#path(pack), 'r')
    try {
      fdatasyncSync(file)
    } finally {
      closeSync(file)
    }
  }

  remove(pack: number): void {
    const file = this.#open.get(pack)
    if (file !== undefined) closeSync(file)
    this.#open.delete(pack)
    this.#sizes.delete(pack)
    rmSync(this.#path(pack), { force: true })
  }

  close(): void {
    for (const file of this.#open.values()) closeSync(file)
    this.#open.clear()
    this.leave()
  }

  /** Appends no more to the pack of now: what comes gets another one. */
  leave(): void {
    const own = this.#own
    this.#own = undefined
    if (own !== undefined && !this.#syncing.has(own.file)) closeSync(own.file)
  }

  #ownPack(): Own {
    if (this.#own !== undefined) return this.#own
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    for (let number = (numbersIn(this.#folder).at(-1) ?? 0) + 1; ; number += 1) {
      try {
        const file = openSync(this.#path(number), 'wx', 0o600)
        this.#own = { number, file, written: 0, added: 0, synced: 0, pending: [], unsynced: 0, failure: undefined }
        return this.#own
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error
      }
    }
  }

  #room(length: number): Buffer {
    if (length > SLAB / 2) return Buffer.allocUnsafeSlow(length)
    if (this.#slab.length < length) this.#slab = Buffer.allocUnsafeSlow(SLAB)
    const room = this.#slab.subarray(0, length)
    this.#slab = this.#slab.subarray(length)
    return room
  }

  #fileOf(pack: number): number | undefined {
    const known = this.#open.get(pack)
    if (known !== undefined) return known
    try {
      const file = openSync(this.#path(pack), 'r')
      const [oldest] = this.#open
      if (oldest !== undefined && this.#open.size >= MOST_OPEN) {
        this.#open.delete(oldest[0])
        closeSync(oldest[1])
      }
      this.#open.set(pack, file)
      return file
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  #path(pack: number): string {
    return join(this.#folder, String(pack).padStart(6, '0'))
  }
}

/** In ascending order. */
function numbersIn(folder: string): readonly number[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .sort((a, b) => a - b)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}
