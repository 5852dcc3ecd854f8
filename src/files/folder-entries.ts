import { comparePaths, joinPath, nameOf } from './paths.ts'
import type { FileEntry } from './port.ts'

/** From so many entries on, they are packed. */
const MANY = 8192
const KINDS = ['file', 'folder', 'link', 'other'] as const
const NO_MODE = 0xffff

/**
 * The entries of one folder in the order of `comparePaths`. As plain objects a million of them would take 300 MB; those of a large folder are
 * packed, some 50 bytes each, and made anew when they are asked for.
 */
export class FolderEntries {
  readonly #folder: string
  #plain: FileEntry[] = []
  #packed: Packed | undefined
  #folders: string[] = []

  constructor(folder: string) {
    this.#folder = folder
  }

  get length(): number {
    return this.#packed?.length ?? this.#plain.length
  }

  /** Paths of the folders among them. */
  get folders(): readonly string[] {
    return this.#folders
  }

  add(entry: FileEntry): void {
    if (entry.kind === 'folder') this.#folders.push(entry.path)
    if (this.#packed !== undefined) {
      this.#packed.add(entry)
      return
    }
    this.#plain.push(entry)
    if (this.#plain.length < MANY) return
    this.#packed = new Packed(this.#folder)
    for (const each of this.#plain) this.#packed.add(each)
    this.#plain = []
  }

  /** Once all are there. */
  sort(): this {
    const from = this.#folder.length
    this.#plain.sort((a, b) => comparePaths(a.path, b.path, from))
    this.#folders.sort((a, b) => comparePaths(a, b, from))
    this.#packed?.sort()
    return this
  }

  at(index: number): FileEntry | undefined {
    return this.#packed === undefined ? this.#plain[index] : this.#packed.at(index)
  }

  *[Symbol.iterator](): Generator<FileEntry> {
    for (let index = 0; index < this.length; index += 1) {
      const entry = this.at(index)
      if (entry !== undefined) yield entry
    }
  }
}

class Packed {
  readonly #folder: string
  /** Names as UTF-8, one after the other, and where each begins. UTF-8 sorts as `comparePaths` does. */
  #names: Buffer = Buffer.allocUnsafeSlow(MANY * 32)
  #used = 0
  #starts = new Uint32Array(2 * MANY)
  #sizes = new Float64Array(2 * MANY)
  #mtimes = new Float64Array(2 * MANY)
  #modes = new Uint16Array(2 * MANY)
  #kinds = new Uint8Array(2 * MANY)
  #order: Uint32Array | undefined
  readonly #targets = new Map<number, string>()
  length = 0

  constructor(folder: string) {
    this.#folder = folder
  }

  add({ path, kind, size, mode, mtimeSeconds, target }: FileEntry): void {
    const index = this.length
    if (index + 1 >= this.#starts.length) this.#grow()
    const name = nameOf(path)
    // A UTF-16 unit takes three bytes at most.
    while (this.#names.length - this.#used < name.length * 3) this.#names = Buffer.concat([this.#names], this.#names.length * 2)
    this.#starts[index] = this.#used
    this.#used += this.#names.write(name, this.#used, 'utf8')
    this.#starts[index + 1] = this.#used
    this.#sizes[index] = size
    this.#mtimes[index] = mtimeSeconds
    this.#modes[index] = mode ?? NO_MODE
    this.#kinds[index] = KINDS.indexOf(kind)
    if (target !== null) this.#targets.set(index, target)
    this.length += 1
  }

  sort(): void {
    const [names, starts] = [this.#names, this.#starts]
    const start = (index: number): number => starts[index] ?? 0
    this.#order = Uint32Array.from({ length: this.length }, (_, index) => index).sort((a, b) =>
      names.compare(names, start(b), start(b + 1), start(a), start(a + 1)),
    )
  }

  at(place: number): FileEntry | undefined {
    if (place >= this.length) return undefined
    const index = this.#order?.[place] ?? place
    const mode = this.#modes[index] ?? NO_MODE
    return {
      path: joinPath(this.#folder, this.#names.toString('utf8', this.#starts[index], this.#starts[index + 1])),
      kind: KINDS[this.#kinds[index] ?? 0] ?? 'other',
      size: this.#sizes[index] ?? 0,
      mode: mode === NO_MODE ? null : mode,
      mtimeSeconds: this.#mtimes[index] ?? 0,
      target: this.#targets.get(index) ?? null,
    }
  }

  #grow(): void {
    const twice = this.#starts.length * 2
    this.#starts = grown(new Uint32Array(twice), this.#starts)
    this.#sizes = grown(new Float64Array(twice), this.#sizes)
    this.#mtimes = grown(new Float64Array(twice), this.#mtimes)
    this.#modes = grown(new Uint16Array(twice), this.#modes)
    this.#kinds = grown(new Uint8Array(twice), this.#kinds)
  }
}

function grown<T extends { set(from: T): void }>(to: T, from: T): T {
  to.set(from)
  return to
}
