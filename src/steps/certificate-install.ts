import { posix } from 'node:path'
import { type Finding, MigrateError } from '../base/errors.ts'
import type { Shell } from '../files/port.ts'
import type { StepRun } from '../run/step.ts'
import type { CertificateOptions } from './certificate.ts'
import type { KeptCertificate } from './certificate-obtain.ts'

type Install = NonNullable<CertificateOptions['install']>

/** What stood there before this run, beside it, so that undo can put it back. */
const beforePath = (path: string, run: StepRun): string => `${path}.before-${run.id}`

/** Read-only: may this account put the files there? */
export async function installFindings({ chain, key }: Install, shell: Shell, run: StepRun): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const path of [chain, key]) {
    const { exit } = await shell.run(`test -w ${posix.dirname(path)} && { test ! -e ${path} || test -w ${path}; }`, run.signal)
    if (exit === 0) continue
    findings.push({
      severity: 'error',
      code: 'certificate-place-denied',
      message: `This account may not write ${path} on ${shell.label}.`,
      hint: 'Choose a folder of its own and point the web server there, or log in as one who may.',
    })
  }
  return findings
}

/** Puts key and chain in place, each in one step, and lets the web server take them. May be done again. */
export async function installOn(
  shell: Shell,
  { chain, key, reload }: Install,
  kept: KeptCertificate,
  run: StepRun,
): Promise<void> {
  // The key first: a server that reloads in between still finds its old pair by the old chain, or refuses and keeps what it has.
  await put(shell, key, kept.key, run)
  await put(shell, chain, kept.chain, run)
  if (reload === undefined) return
  const { exit, stderr } = await shell.run(reload, run.signal)
  if (exit === 0) return
  throw new MigrateError(
    'certificate-reload-failed',
    `The web server didn't take the new certificate ("${reload}" ended with ${exit}): ${stderr.trim().slice(0, 500)}`,
    {
      hint: `The files stand at ${chain} and ${key}. Mend the command, then run again.`,
    },
  )
}

/** Needs no quotes: paths are plain (options schema), and the content is Base64. */
async function put(shell: Shell, path: string, text: string, run: StepRun): Promise<void> {
  const before = beforePath(path, run)
  const content = Buffer.from(text).toString('base64')
  // A link stays: what it leads to is another's. What stood there is kept once, by the first try.
  const command = [
    'umask 077',
    `if [ -e ${path} ] && [ ! -e ${before} ] && [ ! -e ${before}.none ]; then cp -pP ${path} ${before}; elif [ ! -e ${before} ]; then : > ${before}.none; fi`,
    `printf %s ${content} | base64 -d > ${path}.part`,
    `mv -f ${path}.part ${path}`,
  ].join(' && ')
  await must(shell, command, path, run)
}

/** Puts back what stood there, or nothing. */
export async function uninstallFrom(shell: Shell, { chain, key, reload }: Install, run: StepRun): Promise<void> {
  for (const path of [chain, key]) {
    const before = beforePath(path, run)
    await must(
      shell,
      `if [ -e ${before} ]; then mv -f ${before} ${path}; elif [ -e ${before}.none ]; then rm -f ${path} ${before}.none; fi`,
      path,
      run,
    )
  }
  if (reload !== undefined) await shell.run(reload, run.signal)
}

async function must(shell: Shell, command: string, path: string, run: StepRun): Promise<void> {
  const { exit, stderr } = await shell.run(command, run.signal)
  if (exit === 0) return
  throw new MigrateError(
    'certificate-not-installed',
    `${path} on ${shell.label} could not be written: ${stderr.trim().slice(0, 500) || `exit ${exit}`}.`,
    {
      hint: 'Look at the folder, its rights and the disk; then run again. The certificate itself is kept in the run’s folder.',
    },
  )
}
