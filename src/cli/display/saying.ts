import { mapTexts } from '../../base/texts.ts'
import type { Display } from './display.ts'

/** A display that has every text, in events too, as `say` puts it. */
export function saying(say: (text: string) => string, display: Display): Display {
  const { ask } = display
  return {
    ...display,
    sink: (event) => display.sink(mapTexts(event, say)),
    tell: (event, text) => display.tell(mapTexts(event, say), say(text)),
    checking: (what) => display.checking(say(what)),
    notice: (text) => display.notice(say(text)),
    ask: ask && ((question, hint) => ask(say(question), hint === undefined ? undefined : say(hint))),
  }
}
