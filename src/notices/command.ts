import type { Notice } from '../base/notice.ts'
import { runProgram } from '../base/program.ts'
import type { Secret } from '../base/secret.ts'
import { oneLine, undelivered, unreachable } from './failures.ts'
import type { Notifier } from './port.ts'

export interface CommandOptions {
  /** As a shell understands it; it may hold what a variable put there. */
  readonly command: Secret
  /** As the playbook has it, `${…}` not filled in. */
  readonly written: string
  /** Where it runs: the playbook's folder. */
  readonly directory: string
}

const LONGEST_LABEL = 60

/**
 * Runs a command of the founder's own on this machine for each message: the text is on its standard input, and all of it in
 * MIGRATE_NOTICE_* of its environment. Nothing of a message is ever part of the command itself. It and all that it started are gone
 * two seconds after the signal aborts.
 */
export function command({ command, written, directory }: CommandOptions): Notifier {
  const shown = oneLine(written)
  const label = `command ${shown.length > LONGEST_LABEL ? `${shown.slice(0, LONGEST_LABEL - 1)}…` : shown}`
  return {
    label,
    check: async (signal) => {
      const program = firstWord(command.reveal())
      if (program === undefined) return []
      // The word is an argument, not a part of what the shell reads. (POSIX.1-2017, "command": -v says how a name would be run.)
      const { exit } = await runProgram({
        program: '/bin/sh',
        args: ['-c', 'command -v -- "$1"', 'sh', program],
        directory,
        signal,
      })
      if (exit === 0) return []
      return [unreachable(label, new Error(`there is no ${program} here`), 'Install it, or write its path: ./tell.sh.')]
    },
    send: async (notice, signal) => {
      const end = await runProgram({
        program: '/bin/sh',
        args: ['-c', command.reveal()],
        directory,
        environment: environmentOf(notice),
        input: inputOf(notice),
        signal,
      })
      if (end.exit === 0) return
      const said = oneLine(end.stderr === '' ? end.stdout : end.stderr)
      throw undelivered(label, `it ended with exit code ${end.exit}${said === '' ? '' : ` ("${said}")`}`)
    },
    close: async () => undefined,
  }
}

const environmentOf = (notice: Notice): Readonly<Record<string, string>> => ({
  MIGRATE_NOTICE_ID: notice.id,
  MIGRATE_NOTICE_PLAYBOOK: notice.playbook,
  MIGRATE_NOTICE_RUN: notice.run,
  MIGRATE_NOTICE_STEP: notice.step ?? '',
  MIGRATE_NOTICE_TIME: notice.time,
  MIGRATE_NOTICE_TOPIC: notice.topic,
  MIGRATE_NOTICE_SEVERITY: notice.severity,
  MIGRATE_NOTICE_CODE: notice.code ?? '',
  MIGRATE_NOTICE_TITLE: withoutNul(notice.title),
  MIGRATE_NOTICE_TEXT: withoutNul(notice.text),
})

/** An environment's values end at a NUL (POSIX.1-2017, XBD 8.1). */
const withoutNul = (text: string): string => text.replaceAll('\0', '')

async function* inputOf({ text }: Notice): AsyncIterable<Buffer> {
  yield Buffer.from(`${text}\n`)
}

/** The program that the command begins with, where it is plainly one: no variable, quotes or shell construct before it. */
const firstWord = (text: string): string | undefined => /^\s*([A-Za-z0-9_./~-]+)(?=\s|$)/.exec(text)?.[1]
