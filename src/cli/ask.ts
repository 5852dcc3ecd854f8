import type { Ask } from '../run/session.ts'

/** Asks yes or no in the terminal. Ctrl-C and Escape mean no. */
export const askInTerminal: Ask = async (question, hint) => {
  const { confirm, isCancel } = await import('@clack/prompts')
  const answer = await confirm({ message: hint === undefined ? question : `${question}\n${hint}`, initialValue: false })
  return !isCancel(answer) && answer
}
