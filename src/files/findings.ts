import type { Finding } from '../base/errors.ts'

/** What `check` finds about a host's files, said the same way by every adapter. */

export const notAFolder = (label: string): Finding => ({
  severity: 'error',
  code: 'files-root-missing',
  message: `The folder of ${label} is not there.`,
  hint: 'Make it on that host, or correct the path in the playbook.',
})

export const notReadable = (label: string): Finding => ({
  severity: 'error',
  code: 'files-not-readable',
  message: `This account may not read the folder of ${label}.`,
  hint: 'Give the account the right to read it, or use another account.',
})

/** `warning` where the host's answer leaves room for doubt (group or ACL rights that can't be asked for). */
export const notWritable = (label: string, severity: 'error' | 'warning'): Finding => ({
  severity,
  code: 'files-not-writable',
  message:
    severity === 'error'
      ? `This account may not write into the folder of ${label}.`
      : `By its permissions, this account may perhaps not write into the folder of ${label}.`,
  hint: 'Make the account the folder’s owner on that host (chown), or use an account that may write.',
})
