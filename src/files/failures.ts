import { MigrateError, messageOf } from '../base/errors.ts'
import { formatBytes } from '../base/units.ts'
import { shownPath } from './raw-names.ts'

/** What can go wrong with files, said the same way by every adapter (the codes are files/port.ts's). */

const shown = (path: string): string => (path === '' ? 'the folder itself' : shownPath(JSON.stringify(path)))

export const fileMissing = (label: string, path: string, cause?: unknown): MigrateError =>
  new MigrateError('file-missing', `${shown(path)} is not there on ${label}.`, {
    hint: 'If it should be there, look at the path in the playbook; somebody may also have removed it in the meantime.',
    cause,
  })

export const permissionDenied = (label: string, path: string, doing: string, cause?: unknown): MigrateError =>
  new MigrateError('file-permission-denied', `${label} does not allow this account to ${doing} ${shown(path)}.`, {
    hint: 'Give the account the right (owner or group of the folder), or use an account that has it, and run again.',
    cause,
  })

export const diskFull = (label: string, path: string, free: number | null, cause?: unknown): MigrateError =>
  new MigrateError(
    'files-disk-full',
    `The disk of ${label} is full: ${shown(path)} could not be written${free === null ? '' : ` (${formatBytes(free)} free)`}. The file under that name was left as it was.`,
    { hint: 'Free space or raise the quota on that host, then run again: what has arrived is kept.', cause },
  )

export const connectionLost = (label: string, path: string | null, cause?: unknown): MigrateError =>
  new MigrateError(
    'files-connection-lost',
    `The connection to ${label} broke${path === null ? '' : ` at ${shown(path)}`}. No half-written file stands under its name.`,
    { hint: 'Run again: it goes on with the files that are not there yet.', retrySafe: true, cause },
  )

export const filesFailed = (label: string, path: string, doing: string, cause: unknown): MigrateError =>
  new MigrateError('files-failed', `${label} could not ${doing} ${shown(path)}: ${messageOf(cause)}.`, {
    hint: 'The words after the colon are the host’s own. Run again when the cause is mended.',
    cause,
  })

export const unreachable = (label: string, cause: unknown): MigrateError =>
  new MigrateError('files-unreachable', `${label} can't be reached: ${messageOf(cause)}.`, {
    hint: 'Check host and port in the playbook, and whether that host lets this address in (firewall, VPN).',
    cause,
    retrySafe: true,
  })
