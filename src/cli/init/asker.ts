import type { Choice } from '../resolve.ts'

/** What `migrate init` asks a person with. Every question throws `interrupted` when the person leaves (Ctrl-C, Escape). */
export interface Asker {
  /** `check` gives what is wrong with an answer, `undefined` when nothing is. An empty answer is `initial`, or '' without one. */
  text(question: string, options?: TextOptions): Promise<string>
  /** Not shown while it is typed. */
  secret(question: string): Promise<string>
  choose<T extends string>(question: string, choices: readonly Choice<T>[]): Promise<T>
  say(text: string): void
}

export interface TextOptions {
  readonly placeholder?: string
  readonly initial?: string
  readonly check?: (answer: string) => string | undefined
}
