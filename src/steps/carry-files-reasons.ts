import type { Sides } from '../files/merge.ts'

/** What only one of them can be. */
export const isClash = ({ source, target }: Sides): boolean =>
  source !== undefined && target !== undefined && (source.kind === 'folder') !== (target.kind === 'folder')

/** Why a file can't be carried without a person, in words. */
export function reasonOf({ base, source, target }: Sides): string {
  if (isClash({ base, source, target })) return 'is a folder on one host, and something else on the other'
  if (base === undefined && target === undefined) return 'lies on one host in what is no folder on the other'
  if (target === undefined) return 'changed on one host and removed on the other'
  return base === undefined ? 'made on both hosts, with different contents' : 'changed on both hosts'
}
