import { placeholder, withoutPassword, withPassword } from '../../playbook/draft.ts'
import type { Asker } from './asker.ts'

/** Passwords that were typed: they are used for the looks of this command, and never written. */
export class Secrets {
  readonly #typed = new Map<string, string>()
  readonly #used = new Set<string>()

  readonly #env: Readonly<Record<string, string | undefined>>
  readonly #asker: Asker | undefined

  constructor(env: Readonly<Record<string, string | undefined>>, asker: Asker | undefined) {
    this.#env = env
    this.#asker = asker
  }

  /** The URL with `${variable}` in the place of its password, which is asked for where nobody knows it. */
  async kept(url: string, variable: string, isNeeded: boolean): Promise<string> {
    const typed = withoutPassword(url, variable)
    if (typed !== undefined) {
      this.#typed.set(variable, typed.password)
      this.#used.add(variable)
      return typed.url
    }
    const wanted = isNeeded || this.#typed.has(variable)
    const filled = wanted && /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? withPassword(url, variable) : url
    for (const [, name] of filled.matchAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g)) {
      if (name === undefined) continue
      this.#used.add(name)
      if (this.#value(name) === undefined) await this.ask(name, `Password for ${filled.replaceAll(/:\$\{\w+\}/g, '')}`)
    }
    // No password at all, and nothing to keep one in.
    return wanted && this.#typed.get(variable) === '' ? filled.replace(`:${placeholder(variable)}@`, '@') : filled
  }

  async ask(variable: string, question: string): Promise<void> {
    if (this.#value(variable) !== undefined || this.#asker === undefined) return
    this.#typed.set(variable, await this.#asker.secret(`${question} (used now, and not written down)`))
  }

  #value(name: string): string | undefined {
    return this.#typed.get(name) ?? this.#env[name]
  }

  /** What a playbook is read with: what isn't known yet stands as its own name. */
  get environment(): Readonly<Record<string, string | undefined>> {
    const unknown = [...this.#used].filter((name) => this.#value(name) === undefined).map((name) => [name, name] as const)
    return { ...this.#env, ...Object.fromEntries([...this.#typed, ...unknown]) }
  }

  /** Every variable in this text is known, so that a look at the host has a chance. */
  isComplete(text: string): boolean {
    return [...text.matchAll(/\$\{(\w+)\}/g)].every(([, name]) => name === undefined || this.#value(name) !== undefined)
  }
}
