import type { ListDepth } from './port.ts'

/** Which folders a listing of this depth looks into. */
export function looksInto(depth: ListDepth): (folder: string) => boolean {
  if (depth === 'here') return () => false
  return depth === 'below' ? () => true : depth
}
