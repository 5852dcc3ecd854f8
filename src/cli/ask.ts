import type { Ask } from '../run/session.ts'
import type { Choice } from './resolve.ts'

/** Asks yes or no in the terminal. Ctrl-C and Escape mean no. */
export const askInTerminal: Ask = async (question, hint) => {
  const { confirm, isCancel } = await import('@clack/prompts')
  const answer = await confirm({ message: hint === undefined ? question : `${question}\n${hint}`, initialValue: false })
  return !isCancel(answer) && answer
}

/** Lets the person choose one answer in the terminal; `undefined` for Ctrl-C and Escape. */
export async function chooseInTerminal<T extends string>(
  question: string,
  choices: readonly Choice<T>[],
): Promise<T | undefined> {
  const { isCancel, select } = await import('@clack/prompts')
  const options = choices.map(({ value, label, hint }) => ({ value: String(value), label, hint }))
  const answer = await select<string>({ message: question, options })
  return isCancel(answer) ? undefined : choices.find((each) => each.value === answer)?.value
}
