import { mapTexts, type TextChange } from '../../base/texts.ts'
import type { Display } from './display.ts'

/** A display that has every text as `say` puts it, and those in events as `inEvents` does. */
export function saying(say: (text: string) => string, display: Display, inEvents: TextChange = say): Display {
  const { ask } = display
  return {
    ...display,
    sink: (event) => display.sink(mapTexts(event, inEvents)),
    tell: (event, text) => display.tell(mapTexts(event, inEvents), say(text)),
    checking: (what) => display.checking(say(what)),
    notice: (text) => display.notice(say(text)),
    ask: ask && ((question, hint) => ask(say(question), hint === undefined ? undefined : say(hint))),
  }
}
