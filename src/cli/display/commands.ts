import { playbookWords, withCommands } from '../../base/commands.ts'
import type { Flags } from '../flags.ts'
import type { Display } from './display.ts'
import { legible } from './legible.ts'
import { saying } from './saying.ts'

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
