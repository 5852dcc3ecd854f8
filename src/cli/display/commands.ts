import type { Flags } from '../flags.ts'
import type { Display } from './display.ts'
import { legible } from './legible.ts'
import { saying } from './saying.ts'

/** Nobody but the command line knows how the playbook was named: all others write `migrate reconcile PLAYBOOK`. */
const COMMAND = /\b(migrate [a-z]+) PLAYBOOK\b/g

/** What stands behind `migrate run` for the person who typed this command: the playbook, and where the run is kept if not beside it. */
export const playbookWords = (playbook: string, { state }: Pick<Flags, 'state'>): string =>
  [quoted(playbook), ...(state === undefined ? [] : [`--state ${quoted(state)}`])].join(' ')

/** For a POSIX shell, where it needs it. */
const quoted = (word: string): string => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

/** The text with its commands as they can be typed. */
export const withCommands = (text: string, words: string): string =>
  text.replaceAll(COMMAND, (_all, start: string) => `${start} ${words}`)

/** What stands under these keys of an event is said by this program; all else is data, where a file or a table may be called anything. */
const SAID = new Set(['message', 'hint', 'markdown'])

/** A display whose every command can be typed as it stands there. */
export function speakingOf(words: string, display: Display): Display {
  const say = (text: string): string => withCommands(text, words)
  const speaking = saying(say, display, (text, under = '') => (SAID.has(under) ? say(text) : text))
  return {
    ...speaking,
    begin: (options) => display.begin({ ...options, playbook: words }),
    // A change is data to the bottom: a table may have a column "message".
    sink: (event) => (event.event === 'change' ? display.sink(event) : speaking.sink(event)),
  }
}

/** Puts texts for people whom no display serves: legible, with commands as the person who named the playbook can type them. */
export function forPeople(playbook: string, flags: Pick<Flags, 'state'>): (text: string) => string {
  const words = playbookWords(playbook, flags)
  return (text) => legible(withCommands(text, words))
}
