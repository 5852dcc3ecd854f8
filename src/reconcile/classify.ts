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
   * Both have the same content and neither had it before: the same thing, unless it is a counter that both hosts counted, or what it
   * belongs to is another thing on each.
   */
  | 'alike'
