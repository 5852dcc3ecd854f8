import type { Flags } from '../flags.ts'
import type { Display } from './display.ts'

/** Steps and errors don't know how the playbook was named: they write `migrate reconcile PLAYBOOK`. */
const COMMAND = /\b(migrate [a-z]+) PLAYBOOK\b/g

/** What stands behind `migrate run` for the person who typed this command: the playbook, and where the run is kept if not beside it. */
export const playbookWords = (playbook: string, { state }: Pick<Flags, 'state'>): string =>
  [quoted(playbook), ...(state === undefined ? [] : [`--state ${quoted(state)}`])].join(' ')

/** For a POSIX shell, where it needs it. */
const quoted = (word: string): string => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

/** The text with its commands as they can be typed. */
export const withCommands = (text: string, words: string): string =>
  text.replaceAll(COMMAND, (_all, start: string) => `${start} ${words}`)

/** A display whose every command can be typed as it stands there. */
export function speakingOf(words: string, display: Display): Display {
  const spoken = <T extends object>(event: T): T =>
    Object.fromEntries(
      Object.entries(event).map(([key, value]) => [key, typeof value === 'string' ? withCommands(value, words) : value]),
    ) as T
  return {
    ...display,
    begin: (options) => display.begin({ ...options, playbook: words }),
    sink: (event) => display.sink(spoken(event)),
    tell: (event, text) => display.tell(spoken(event), withCommands(text, words)),
    notice: (text) => display.notice(withCommands(text, words)),
  }
}
