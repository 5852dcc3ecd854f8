import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import type { SnapshotStore } from '../databases/snapshot/store.ts'
import { type Backup, backupSchema } from './snapshot-method.ts'

export const restoreMethodShape = {
  command: z
    .string()
    .min(1)
    .optional()
    .describe('Restores the snapshot of a command: from the folder $MIGRATE_SNAPSHOT into $MIGRATE_DATABASE on $MIGRATE_HOST …'),
  backup: backupSchema.optional().describe('Where the new server itself reads a backup: it is put there through new.files'),
}

export interface RestoreMethodOptions {
  readonly command?: string | undefined
  readonly backup?: Backup | undefined
}

/** What stood on the new host before a native restore began there: remembered before the first effect. */
export const BEFORE_KEY = 'native-restore-before'
/** Who the new database says it is since a restore of this run replaced it as a whole. */
export const REPLACED_KEY = 'native-restore-identity'

export const uselessCommand = (step: string): Finding => ({
  severity: 'error',
  code: 'playbook-part-useless',
  message: `${step} is given a command, but the snapshot is portable: migrate restores it itself.`,
  hint: 'Remove the command, or give snapshot-database: { method: command, command: … }.',
  ending: 'usage',
})

export const commandMissing = (step: string): Finding => ({
  severity: 'error',
  code: 'playbook-part-missing',
  message: `${step} needs a command, since the snapshot is made by one: nothing else knows how to restore it.`,
  hint: 'Add it, for example: restore-database: { command: "./restore.sh" }, which reads $MIGRATE_SNAPSHOT.',
  ending: 'usage',
})

export const noDump = (store: SnapshotStore): MigrateError =>
  new MigrateError(
    'snapshot-missing',
    `There is no complete database snapshot in ${store.directory}. The new host was left untouched.`,
    {
      hint: 'Put the step snapshot-database before restore-database in the playbook, or run without --from and --only.',
    },
  )
