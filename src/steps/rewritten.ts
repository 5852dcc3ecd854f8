import { z } from 'zod'
import type { StepRun } from '../run/step.ts'

const KEY = 'rewritten-files'
const schema = z.record(z.string(), z.string())

/** Files of the new host that `rewrite-config` changed in this run, with the SHA-256 that it gave them. */
export const rewrittenFiles = (run: StepRun): ReadonlyMap<string, string> =>
  new Map(Object.entries(schema.parse(run.recall(KEY) ?? {})))

/** Notes that a file is going to have this content, or no longer (null). */
export async function noteRewritten(run: StepRun, path: string, sha256: string | null): Promise<void> {
  const files = new Map(rewrittenFiles(run))
  if (sha256 === null) files.delete(path)
  else files.set(path, sha256)
  await run.remember(KEY, Object.fromEntries(files))
}
