/** A page of a list, as the SDK gives it. */
interface Page<T> {
  getPaginatedItems(): T[]
}

/**
 * True when a page is the last one, by the total that Cloudflare gives with it. Without a total the SDK asks on until a page is empty.
 * `seen`: how many items there were up to and with this page.
 */
export function isLastPage<T>(page: Page<T>, seen: number): boolean {
  const info = 'result_info' in page && typeof page.result_info === 'object' && page.result_info !== null ? page.result_info : {}
  return 'total_count' in info && typeof info.total_count === 'number' && seen >= info.total_count
}

/** Every item of every page, with no more requests than pages. */
export async function allPages<T>(first: PromiseLike<{ iterPages(): AsyncIterable<Page<T>> }>): Promise<readonly T[]> {
  const items: T[] = []
  for await (const page of (await first).iterPages()) {
    items.push(...page.getPaginatedItems())
    if (isLastPage(page, items.length)) break
  }
  return items
}
