import type { HashedEntry, Sides } from './merge.ts'
import { comparePaths } from './paths.ts'
import type { FileEntry } from './port.ts'

/** A path with what each of three listings says of it. */
export interface Met extends Sides {
  readonly path: string
}

/** Walks three listings side by side, each in the order of `comparePaths`; every path once. Holds one entry of each. */
export async function* sideBySide(
  base: Iterable<HashedEntry>,
  source: AsyncIterable<FileEntry>,
  target: AsyncIterable<FileEntry>,
): AsyncGenerator<Met> {
  const heads = [new Head(fromSync(base)), new Head(unhashed(source)), new Head(unhashed(target))] as const
  try {
    await Promise.all(heads.map((head) => head.advance()))
    for (let path = least(heads); path !== undefined; path = least(heads)) {
      const [fromBase, fromSource, fromTarget] = [heads[0].at(path), heads[1].at(path), heads[2].at(path)]
      yield { path, base: fromBase, source: fromSource, target: fromTarget }
      for (const head of heads) if (head.entry?.path === path) await head.advance()
    }
  } finally {
    for (const head of heads) await head.end()
  }
}

class Head {
  readonly #items: AsyncIterator<HashedEntry>
  entry: HashedEntry | undefined

  constructor(items: AsyncIterable<HashedEntry>) {
    this.#items = items[Symbol.asyncIterator]()
  }

  at(path: string): HashedEntry | undefined {
    return this.entry?.path === path ? this.entry : undefined
  }

  async advance(): Promise<void> {
    const next = await this.#items.next()
    this.entry = next.done === true ? undefined : next.value
  }

  /** Lets a listing that wasn't read to its end close what it holds. */
  async end(): Promise<void> {
    await this.#items.return?.()
  }
}

function least(heads: readonly Head[]): string | undefined {
  let first: string | undefined
  for (const { entry } of heads)
    if (entry !== undefined && (first === undefined || comparePaths(entry.path, first) < 0)) first = entry.path
  return first
}

async function* fromSync(items: Iterable<HashedEntry>): AsyncGenerator<HashedEntry> {
  yield* items
}

async function* unhashed(items: AsyncIterable<FileEntry>): AsyncGenerator<HashedEntry> {
  for await (const item of items) yield { ...item, sha256: null }
}
