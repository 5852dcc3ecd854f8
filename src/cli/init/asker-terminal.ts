import { MigrateError } from '../../base/errors.ts'
import { chooseInTerminal } from '../ask.ts'
import { wrap } from '../display/frame.ts'
import type { Asker } from './asker.ts'

const left = (): MigrateError =>
  new MigrateError('interrupted', 'Stopped, as asked. No playbook was written.', {
    ending: 'interrupted',
    hint: 'Run migrate init again to begin anew.',
  })

/** What stands left of every line of a conversation. */
const MARGIN = 4

/** Asks in a terminal of this width. */
export async function terminalAsker(columns: number): Promise<Asker> {
  const { isCancel, log, password, text } = await import('@clack/prompts')
  const given = (answer: string | symbol | undefined): string => {
    if (isCancel(answer) || typeof answer === 'symbol') throw left()
    return (answer ?? '').trim()
  }
  return {
    text: async (message, { placeholder, initial, check } = {}) => {
      const validate = (answer: string | undefined): string | undefined => check?.((answer ?? '').trim() || (initial ?? ''))
      const shown = {
        ...(placeholder === undefined ? {} : { placeholder }),
        ...(initial === undefined ? {} : { placeholder: initial }),
      }
      return given(await text({ message, validate, ...shown })) || (initial ?? '')
    },
    secret: async (message) => given(await password({ message })),
    choose: async (message, choices) => {
      const answer = await chooseInTerminal(message, choices)
      if (answer === undefined) throw left()
      return answer
    },
    say: (words) => log.message(wrap(words, Math.max(40, columns) - MARGIN).join('\n')),
  }
}
