import { placeholder, withoutPassword, withPassword } from '../../playbook/draft.ts'
import { variablesOf } from '../../playbook/variables.ts'
import type { Asker } from './asker.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Passwords that were typed: they are used for the looks of this command, and never written. */
export class Secrets {
  readonly #typed = new Map<string, string>()
  readonly #env: Environment
  readonly #asker: Asker | undefined

  constructor(env: Environment, asker: Asker | undefined) {
    this.#env = env
    this.#asker = asker
  }

  /** The URL with `${variable}` in the place of its password, which is asked for where nobody knows it. */
  async kept(url: string, variable: string, isNeeded: boolean): Promise<string> {
    const typed = withoutPassword(url, variable)
    if (typed !== undefined) {
      this.#typed.set(variable, typed.password)
      return typed.url
    }
    const wanted = isNeeded || this.#typed.has(variable)
    const filled = wanted && /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? withPassword(url, variable) : url
    for (const name of variablesOf(filled)) await this.ask(name, `Password for ${filled.replaceAll(/:\$\{\w+\}/g, '')}`)
    // No password at all, and nothing to keep one in.
    return wanted && this.#typed.get(variable) === '' ? filled.replace(`:${placeholder(variable)}@`, '@') : filled
  }

  /** Asks for what neither the environment nor the person has given yet. */
  async ask(variable: string, question: string): Promise<void> {
    if (this.#value(variable) !== undefined || this.#asker === undefined) return
    this.#typed.set(variable, await this.#asker.secret(`${question} (used now, and not written down)`))
  }

  /** What was typed for it was wrong: it is asked for anew. */
  forget(variable: string): void {
    this.#typed.delete(variable)
  }

  #value(name: string): string | undefined {
    return this.#typed.get(name) ?? this.#env[name]
  }

  /** What this text is read with as a playbook: what isn't known stands as its own name, since it is about the form. */
  environmentFor(text: string): Environment {
    return { ...this.#env, ...Object.fromEntries(variablesOf(text).map((name) => [name, this.#value(name) ?? name])) }
  }

  /** Every variable in this text is known, so that a look at the host has a chance. */
  isComplete(text: string): boolean {
    return variablesOf(text).every((name) => this.#value(name) !== undefined)
  }
}
