import type { Notice } from '../../src/base/notice.ts'
import type { Hook } from '../../src/run/tell-outbox.ts'
import { usualTopics } from '../../src/run/tell-topics.ts'

export interface TestHook extends Hook {
  readonly notices: Notice[]
}

/** A hook that takes everything, unless `send` does otherwise. */
export function hook(
  on: readonly string[] = usualTopics,
  send?: (notice: Notice, signal: AbortSignal) => Promise<void>,
  name = 'ops',
): TestHook {
  const notices: Notice[] = []
  return {
    name,
    label: `webhook at ${name}.example`,
    wants: (topic, code) => (topic !== null && on.includes(topic)) || (code !== null && on.includes(`code:${code}`)),
    send: async (notice, signal) => {
      await send?.(notice, signal)
      notices.push(notice)
    },
    notices,
  }
}

export const titles = ({ notices }: TestHook): readonly string[] =>
  notices.flatMap(({ title, text }) => (/\(and \d+ more\)/.test(title) ? told(text) : [title]))
/** The titles within a message that holds several. */
const told = (text: string): readonly string[] =>
  [...text.matchAll(/^\d\d:\d\d:\d\d UTC (.*)$/gm)].map(([, title]) => title ?? '')
