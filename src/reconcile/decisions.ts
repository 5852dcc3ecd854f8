import { join } from 'node:path'
import { z } from 'zod'
import { readJsonFile, writeJsonFile } from './json-file.ts'
import { parkedId } from './parked.ts'

const decisionSchema = z
  .object({
    table: z.string(),
    /** The parked row's `key`. */
    key: z.string(),
    /**
     * `old` or `new`: that host's row is the one that both have from now on; `skip`: both stay as they are; `merge`: the row is the same
     * thing as the receiving host's row with this key (JSON array of its cells), and what refers to it is rewritten.
     */
    take: z.union([z.enum(['old', 'new', 'skip']), z.object({ merge: z.string() }).readonly()]),
    /** The parked row's fingerprints that the person saw: a row that has changed since is asked about again. */
    source: z.string().nullable(),
    target: z.string().nullable(),
  })
  .readonly()
/** What a person decided about a parked row. */
export type Decision = z.infer<typeof decisionSchema>

export const decisionsPath = (directory: string): string => join(directory, 'decisions.json')

/** The decisions of a run; [] when there are none. Throws `decisions-damaged` when the file can't be read as such. */
export const readDecisions = (directory: string): Promise<readonly Decision[]> =>
  readJsonFile(decisionsPath(directory), z.array(decisionSchema), {
    code: 'decisions-damaged',
    what: 'The list of decisions',
    hint: 'Move the file away and decide again:  migrate reconcile PLAYBOOK --resolve',
  })

/** Adds decisions to a run's; a later one about the same row replaces the earlier. */
export async function recordDecisions(directory: string, decisions: readonly Decision[]): Promise<void> {
  const all = new Map((await readDecisions(directory)).map((each) => [parkedId(each), each]))
  for (const each of decisions) all.set(parkedId(each), each)
  await writeJsonFile(decisionsPath(directory), [...all.values()])
}
