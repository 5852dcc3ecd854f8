import type { ClientChannel } from 'ssh2'
import type { Login } from './connection.ts'
import { widen } from './speed.ts'

/** Kept of what a command says on its error output, characters. */
const MOST_SAID = 2000

/** A command at work on the host, whose input and output are streamed. */
export interface Command {
  readonly channel: ClientChannel
  /** Its exit code, or `null` when it was killed or the connection broke. */
  readonly ended: Promise<number | null>
  /** The end of what it said on its error output. */
  said(): string
}

/** Starts a command. Throws where the account may not run any. */
export function startCommand({ client }: Login, command: string, onData: (bytes: Buffer) => void): Promise<Command> {
  return new Promise((resolve, reject) => {
    const lost = (): void => reject(new Error('the connection broke'))
    client.once('close', lost)
    client.exec(command, (error, channel) => {
      client.removeListener('close', lost)
      if (error) return reject(error)
      let said = ''
      let code: number | null = null
      widen(channel)
      channel.on('data', onData)
      channel.stderr.on('data', (bytes: Buffer) => {
        said = (said + bytes.toString('utf8')).slice(-MOST_SAID)
      })
      const ended = new Promise<number | null>((settle) => {
        channel.on('exit', (exit: number | null) => {
          code = exit
        })
        const over = (exit: number | null): void => {
          client.removeListener('close', broken)
          settle(exit)
        }
        const broken = (): void => over(null)
        channel.on('close', () => over(code))
        client.once('close', broken)
      })
      // What is written to a command that has ended goes nowhere; its exit code tells.
      channel.on('error', () => channel.close())
      resolve({ channel, ended, said: () => said })
    })
  })
}

/** A text as one word of a POSIX shell. */
export const shellWord = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
