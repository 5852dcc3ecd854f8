import type { Problem } from './problems.ts'

/** Where something stands in the file; both count from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

export type Path = readonly (string | number)[]

/** A playbook's plain data, `${…}` filled in. */
export type Value = string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value }

/** A part of a text after filling in: from the file itself, or from a variable or another file. */
export interface FilledPiece {
  readonly text: string
  readonly literal: boolean
}

export interface Entry {
  readonly key: Position | undefined
  readonly value: Position
  /** The value holds a `${…}` that couldn't be filled in: already complained of, so nothing else is said about it. */
  readonly broken: boolean
  /** Present for a text with `${…}` in it. */
  readonly pieces?: readonly FilledPiece[]
  /** The text as written in the file. */
  readonly raw?: string
}

const key = (path: Path): string => JSON.stringify(path)

/** What was read from a file, with the position of each part, and the list of what is wrong with it. */
export class Source {
  readonly #entries = new Map<string, Entry>()
  readonly #problems = new Map<string, Problem>()
  readonly #filledKeys = new Set<string>()

  enter(path: Path, entry: Entry): void {
    this.#entries.set(key(path), entry)
  }

  /** The last key of `path` has a `${…}` in it, so it may hold a secret and isn't repeated in messages. */
  hideKey(path: Path): void {
    this.#filledKeys.add(key(path))
  }

  /** `old.files.url`, `dns.records[1].to`: how a message names a part of the playbook. */
  name(path: Path): string {
    return path.map((part, index) => this.#partName(path, part, index)).join('')
  }

  /** The last key of `path` as messages show it. */
  keyText(path: Path): string {
    return this.#partName(path, path.at(-1) ?? '', path.length - 1).replace(/^\./, '')
  }

  #partName(path: Path, part: string | number, index: number): string {
    if (typeof part === 'number') return `[${part}]`
    const shown = this.#filledKeys.has(key(path.slice(0, index + 1))) ? `\${…}` : part
    return index === 0 ? shown : `.${shown}`
  }

  entry(path: Path): Entry | undefined {
    return this.#entries.get(key(path))
  }

  /** Position of the value at `path` (or of its key); of the nearest part around it when the path isn't in the file. */
  position(path: Path, of: 'key' | 'value' = 'value'): Position {
    const entry = this.entry(path)
    if (entry) return of === 'key' ? (entry.key ?? entry.value) : entry.value
    const around = path.slice(0, -1)
    // What is part of a text (a URL's query) stands where the text does; what is missing belongs to its mapping's key.
    return path.length === 0
      ? { line: 1, column: 1 }
      : this.position(around, this.entry(around)?.raw === undefined ? 'key' : 'value')
  }

  broken(path: Path): boolean {
    return this.entry(path)?.broken ?? false
  }

  complain(path: Path, message: string, hint: string, of: 'key' | 'value' = 'value'): undefined {
    if (of === 'key' || !this.broken(path)) this.complainAt(this.position(path, of), message, hint)
  }

  complainAt(position: Position, message: string, hint: string): undefined {
    this.#problems.set(`${position.line}:${position.column}:${message}`, { ...position, message, hint })
  }

  /** In the order of the file. */
  get problems(): readonly Problem[] {
    return [...this.#problems.values()].sort((a, b) => a.line - b.line || a.column - b.column)
  }
}
