/** A row's fingerprint on one side; `null` = it isn't there. */
export type Print = string | null

/** How a row that isn't the same on both hosts came to differ (design.md, "Reconcile is a three-way merge"). */
export type Difference =
  /** Only the source changed since the base: carry it over. */
  | 'insert'
  | 'update'
  | 'delete'
  /** Only the target changed: its row stays. */
  | 'kept'
  /** Both changed. */
  | 'both-changed'
  | 'changed-and-deleted'
  | 'deleted-and-changed'
  /** Both gave birth to a row with this key, with different content. */
  | 'same-key'

/**
 * Where one row stands, from its fingerprints in the base, on the source and on the target now; `undefined` when both sides have
 * the same.
 */
export function classify(base: Print, source: Print, target: Print): Difference | undefined {
  if (source === target) return undefined
  if (source === base) return 'kept'
  if (target === base) {
    if (source === null) return 'delete'
    return target === null ? 'insert' : 'update'
  }
  if (base === null) return 'same-key'
  if (source === null) return 'deleted-and-changed'
  return target === null ? 'changed-and-deleted' : 'both-changed'
}

/** Differences that are nobody's decision but the policy's or a person's. */
export const isConflict = (difference: Difference): boolean =>
  difference === 'both-changed' ||
  difference === 'changed-and-deleted' ||
  difference === 'deleted-and-changed' ||
  difference === 'same-key'
