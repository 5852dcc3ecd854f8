import { join } from 'node:path'
import { z } from 'zod'
import { type HashedEntry, isAlike } from '../files/merge.ts'
import { readJsonFile, writeJsonFile } from '../reconcile/json-file.ts'
import { hashedSchema } from './file-batches.ts'

const fileDecisionSchema = z
  .object({
    path: z.string(),
    /** `old`, `new`: that host's file is the one from now on; `both`: beside each other; `skip`: both hosts stay as they are. */
    take: z.enum(['old', 'new', 'both', 'skip']),
    /** What the person saw: the file as the host that it is carried from has it, and as the other one does (null: it has none). */
    source: hashedSchema,
    target: hashedSchema.nullable(),
  })
  .readonly()
/** What a person decided about a parked file. */
export type FileDecision = z.infer<typeof fileDecisionSchema>

const decisionsPath = (directory: string): string => join(directory, 'file-decisions.json')

/** The decisions of a run about files; [] when there are none. Throws `decisions-damaged`. */
export const readFileDecisions = (directory: string): Promise<readonly FileDecision[]> =>
  readJsonFile(decisionsPath(directory), z.array(fileDecisionSchema), {
    code: 'decisions-damaged',
    what: 'The list of decisions about files',
    hint: 'Move the file away and decide again:  migrate reconcile PLAYBOOK --resolve',
  })

/** Adds decisions to a run's; a later one about the same file replaces the earlier. */
export async function recordFileDecisions(directory: string, decisions: readonly FileDecision[]): Promise<void> {
  if (decisions.length === 0) return
  const all = new Map((await readFileDecisions(directory)).map((each) => [each.path, each]))
  for (const each of decisions) all.set(each.path, each)
  await writeJsonFile(decisionsPath(directory), [...all.values()])
}

/** Whether both hosts still have what the person saw: a file that has changed since is asked about again. */
export function isAbout(decision: FileDecision, source: HashedEntry, target: HashedEntry | undefined): boolean {
  if (!isAlike(decision.source, source)) return false
  return decision.target === null ? target === undefined : target !== undefined && isAlike(decision.target, target)
}
