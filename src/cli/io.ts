import { codeOf } from '../base/errors.ts'

/** What a command is given of the process around it. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  /** Someone can read and answer. */
  readonly isTerminal: boolean
  readonly isColoured: boolean
}

/** A command hands its exit code over here. */
export type Finish = (code: number) => void

/**
 * The process's own. A reader that goes away (`migrate status | head`) is no fault, nor a terminal that is closed: the rest is written to
 * nobody, and the hang-up ends a run tidily.
 */
export function processIo(): Io {
  const { stdin, stdout, stderr, env } = process
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error) => {
      const code = codeOf(error)
      if (code !== 'EPIPE' && !(code === 'EIO' && stream.isTTY)) throw error
    })
  }
  const isTerminal = stdin.isTTY === true && stdout.isTTY === true && env.TERM !== 'dumb'
  return { env, stdout, stderr, isTerminal, isColoured: isTerminal && (env.NO_COLOR ?? '') === '' }
}

/** Resolves when everything written so far has left this process, or nobody reads it any more. */
export const flushed = (stream: NodeJS.WriteStream): Promise<void> => new Promise((resolve) => stream.write('', () => resolve()))
