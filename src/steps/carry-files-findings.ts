import type { Finding } from '../base/errors.ts'
import { firstOf, formatBytes, formatCount } from '../base/units.ts'

/** What is said of carrying files, beside what parked ones are said by. */

type Side = 'old' | 'new'

export const carried = (files: number, bytes: number, source: Side, target: Side): Finding => ({
  severity: 'info',
  code: 'files-carried',
  message: `${formatCount(files)} files, ${formatBytes(bytes)}, of the ${source} host were carried over and read back from the ${target} one: every byte as it was sent.`,
})

/** `named`: the first of them, and where all are. */
export const leftFinding = (count: number, named: string, label: string): Finding => ({
  severity: 'warning',
  code: 'files-not-carried-back',
  message: `${formatCount(count)} files came or changed on the new host, and this account may not write into the folder of ${label}: ${named}. They stand on the new host.`,
  hint: 'Give the account the right to write there and run  migrate rollback PLAYBOOK  again, or copy them by hand.',
})

export const differ = (count: number, named: string, label: string): Finding => ({
  severity: 'error',
  code: 'carried-files-differ',
  message: `${formatCount(count)} files on ${label} are not what was sent: ${named}.`,
  hint: 'Run again: they are sent anew, and what stands there now is kept in the run’s folder. If it happens again, look at that host’s disk.',
})

export const differAndGone = (count: number, named: string, label: string, source: Side): Finding => ({
  severity: 'error',
  code: 'carried-files-differ',
  message: `${formatCount(count)} files on ${label} are not what was sent, and the ${source} host no longer has them: ${named}.`,
  hint: 'Run again: they are removed there, as nothing is left to be sent. What stands there now is kept in the run’s folder, and a rollback puts it back before it takes back all.',
})

export const keptFinding = (kept: number, source: Side, target: Side): Finding => ({
  severity: 'info',
  code: 'files-gone-kept',
  message: `${formatCount(kept)} files were removed on the ${source} host since they were copied, and are kept on the ${target} one.`,
  hint: 'To have them removed there too: carry-files: { delete: true }.',
})

export const configFinding = (paths: readonly string[], source: Side, target: Side): Finding => ({
  severity: 'warning',
  code: 'config-changed-since',
  message: `${firstOf(paths)}, which rewrite-config changed on the new host, ${paths.length === 1 ? 'was' : 'were'} changed on the ${source} host since, and ${paths.length === 1 ? 'was' : 'were'} not carried over.`,
  hint: `Look at what was changed there, and do the same on the ${target} host by hand if it matters.`,
})
