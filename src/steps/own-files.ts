import type { StepRun } from '../run/step.ts'
import { claimKey } from './backup-files.ts'

/** The file that closes the old site. */
export const MAINTENANCE_KEY = 'maintenance-file'

/** Files that this run itself put among a host's: the shop knows nothing of them, and they are never carried. */
export const ownFiles = (run: StepRun): ReadonlySet<string> =>
  new Set(
    [MAINTENANCE_KEY, claimKey('old'), claimKey('new')].flatMap((key) => {
      const path = run.recall(key)
      return typeof path === 'string' ? [path] : []
    }),
  )
