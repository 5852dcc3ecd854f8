import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { ServerHostKeyAlgorithm } from 'ssh2'
import { codeOf, MigrateError } from '../../base/errors.ts'
import { fingerprint, judgeKey, keyType, knownKeyTypes } from './known-hosts.ts'
import { labelOf, type SftpOptions } from './options.ts'

/** What is known of the host's key before connecting. */
export interface HostTrust {
  /** Signature algorithms, those first for which a key is known; the server picks the first that it has. */
  readonly algorithms: ServerHostKeyAlgorithm[]
  /** The error that forbids this key; `undefined` when it is the right one. */
  judge(key: Buffer): MigrateError | undefined
}

const ALGORITHMS: readonly ServerHostKeyAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
  'ssh-rsa', // SHA-1: last, for hosts that have nothing else
]

/** Reads the known_hosts files, if they are needed. A file named by the playbook must be there. */
export async function hostTrust(options: SftpOptions): Promise<HostTrust> {
  if (options.fingerprint !== undefined) return trustFingerprint(options, options.fingerprint)
  const files =
    options.knownHosts === undefined ? [join(homedir(), '.ssh', 'known_hosts'), '/etc/ssh/ssh_known_hosts'] : [options.knownHosts]
  const texts = await Promise.all(files.map((file) => readKnownHosts(file, options.knownHosts !== undefined)))
  const known = texts.join('\n')
  const types = knownKeyTypes(known, options.host, options.port)
  const isKnown = (algorithm: string): boolean =>
    types.some((type) => type === algorithm || (type === 'ssh-rsa' && algorithm.startsWith('rsa-sha2')))
  return {
    algorithms: [...ALGORITHMS.filter(isKnown), ...ALGORITHMS.filter((algorithm) => !isKnown(algorithm))],
    judge: (key) => judged(options, known, key),
  }
}

function trustFingerprint(options: SftpOptions, wanted: string): HostTrust {
  const trusted = wanted.replace(/=+$/, '')
  return {
    algorithms: [...ALGORITHMS],
    judge: (key) => (fingerprint(key) === trusted ? undefined : changed(options, key, 'the fingerprint in the playbook')),
  }
}

function judged(options: SftpOptions, known: string, key: Buffer): MigrateError | undefined {
  const { verdict } = judgeKey(known, options.host, options.port, key)
  if (verdict === 'known') return undefined
  if (verdict === 'unknown') return unknown(options, key)
  return changed(options, key, verdict === 'revoked' ? 'a @revoked line in known_hosts' : 'the key in known_hosts')
}

const unknown = (options: SftpOptions, key: Buffer): MigrateError =>
  new MigrateError(
    'files-host-key-unknown',
    `The host key of ${labelOf(options)} (${keyType(key)}) is in no known_hosts file, so nobody can tell whether this is the right host. Nothing was sent to it.`,
    {
      hint: `Ask the host for its key's fingerprint. If it is ${fingerprint(key)}, put that into the playbook: fingerprint: "${fingerprint(key)}"`,
    },
  )

const changed = (options: SftpOptions, key: Buffer, against: string): MigrateError =>
  new MigrateError(
    'files-host-key-changed',
    `${labelOf(options)} shows another host key (${keyType(key)}, ${fingerprint(key)}) than ${against} allows. It may be another machine, or somebody in between. No password was sent.`,
    {
      hint: 'Ask the host whether they changed the key. Only if they did, put the new fingerprint into the playbook or known_hosts.',
    },
  )

async function readKnownHosts(file: string, required: boolean): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (!required && codeOf(error) === 'ENOENT') return ''
    throw new MigrateError('files-failed', `The known_hosts file ${file} can't be read: ${codeOf(error) ?? String(error)}.`, {
      hint: 'Correct its path in the playbook, or give the fingerprint of the host key instead.',
      cause: error,
    })
  }
}
