import { MigrateError } from '../../base/errors.ts'
import { connectionLost } from '../failures.ts'
import type { Shell } from '../port.ts'
import type { Login } from './connection.ts'
import type { SftpPool } from './pool.ts'

/** Kept of a command's output, bytes each; more is cut off at the front. */
const MOST_OUTPUT = 1024 * 1024

/**
 * Commands over SSH on the connections of a pool. A host without a shell throws `files-no-shell`. Whoever asks may hold a place on a connection
 * all the while: a command waits for none itself, or all of them could wait for one another.
 */
export function sshShell(label: string, pool: SftpPool): Shell {
  return {
    label,
    run: async (command, signal) => {
      const { connection, release } = await pool.leaseForCommand()
      try {
        return await runOn(connection, { label, command, signal })
      } finally {
        release()
      }
    },
  }
}

interface Running {
  readonly label: string
  readonly command: string
  readonly signal: AbortSignal | undefined
}

function runOn(login: Login, { label, command, signal }: Running): ReturnType<Shell['run']> {
  const { client } = login
  signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    // On a line that is gone ssh2 throws at once.
    const exec = (then: Parameters<typeof client.exec>[1]): void => {
      try {
        client.exec(command, then)
      } catch (error) {
        reject(connectionLost(label, null, error))
      }
    }
    exec((error, channel) => {
      if (error) return reject(login.isLost ? connectionLost(label, null, error) : noShell(label, error))
      let [stdout, stderr] = ['', '']
      let exit: number | null = null
      const abort = (): void => {
        channel.close()
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', abort, { once: true })
      channel.on('data', (bytes: Buffer) => {
        stdout = (stdout + bytes.toString('utf8')).slice(-MOST_OUTPUT)
      })
      channel.stderr.on('data', (bytes: Buffer) => {
        stderr = (stderr + bytes.toString('utf8')).slice(-MOST_OUTPUT)
      })
      channel.on('exit', (code: number | null) => {
        exit = code ?? 255
      })
      // Nothing comes on its input: what waits for some (a forced internal-sftp) ends.
      channel.end()
      channel.on('close', () => {
        signal?.removeEventListener('abort', abort)
        if (exit === null) reject(connectionLost(label, null))
        else resolve({ exit, stdout, stderr })
      })
    })
  })
}

const noShell = (label: string, cause: Error): MigrateError =>
  new MigrateError('files-no-shell', `${label} lets this account transfer files but run no commands: ${cause.message}.`, {
    hint: 'Use an account with a shell on that host, or leave the command out.',
    cause,
  })
