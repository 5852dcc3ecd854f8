import { type Config, type ConfigFormat, findByPath, notAValue, type Slot } from './config.ts'
import { phpLiteral, phpValue } from './php-literals.ts'
import { type PhpToken, phpTokens } from './php-tokens.ts'

/**
 * PHP config files. The path of `define('DB_HOST', …)` and `const DB_HOST = …` is the constant's name; of `$table_prefix = …` and
 * `public $host = …` the variable's, with its dollar sign; a value within an array has the keys that lead to it, after the
 * variable (`$db['default']['host'] = …` too) or by themselves in an array that the file returns.
 */
export const phpFormat: ConfigFormat = (text): Config => {
  const slots = new Finder(phpTokens(text)).find()
  return { slots, find: (path) => findByPath(slots, path) }
}

const OPENS = new Set(['(', '[', '{'])
const CLOSES = new Set([')', ']', '}'])
/** What stands before a variable where a statement or a property begins. */
const BEFORE_STATEMENT = new Set([';', '{', '}', ')', ':', 'else', 'do'])
const MODIFIERS = /^(?:public|private|protected|static|var|readonly|global)$/i

class Finder {
  readonly #tokens: readonly PhpToken[]

  constructor(tokens: readonly PhpToken[]) {
    this.#tokens = tokens
  }

  find(): readonly Slot[] {
    let depth = 0
    return this.#tokens.flatMap((token, index) => {
      if (token.type === 'sign' && OPENS.has(token.raw)) depth += 1
      if (token.type === 'sign' && CLOSES.has(token.raw)) depth -= 1
      if (token.type === 'variable') return this.#variable(index)
      if (token.type !== 'name') return []
      const word = token.raw.toLowerCase().replace(/^\\/, '')
      if (word === 'define') return this.#define(index)
      if (word === 'const') return this.#constants(index)
      return word === 'return' && depth === 0 ? this.#value(index + 1, this.#end(index + 1), []) : []
    })
  }

  #raw(index: number): string {
    return this.#tokens[index]?.raw ?? ''
  }

  #define(index: number): readonly Slot[] {
    if (['->', '?->', '::', 'function', 'new'].includes(this.#raw(index - 1).toLowerCase())) return []
    const name = this.#literal(index + 2)
    if (this.#raw(index + 1) !== '(' || name === undefined || this.#raw(index + 3) !== ',') return []
    return this.#value(index + 4, this.#end(index + 4), [name])
  }

  /** `const A = 1, B = 2;`, in PHP 8.3 with a type before the name. */
  #constants(index: number): readonly Slot[] {
    if (this.#raw(index - 1).toLowerCase() === 'use') return []
    const slots: Slot[] = []
    let at = index + 1
    while (this.#tokens[at]?.type === 'name' && this.#raw(at + 1) !== '=') at += 1
    while (this.#tokens[at]?.type === 'name' && this.#raw(at + 1) === '=') {
      const end = this.#end(at + 2)
      slots.push(...this.#value(at + 2, end, [this.#raw(at)]))
      if (this.#raw(end) !== ',') break
      at = end + 1
    }
    return slots
  }

  #variable(index: number): readonly Slot[] {
    const before = this.#tokens[index - 1]
    const isStatement =
      before?.type === 'open' ||
      (before?.type === 'sign' && BEFORE_STATEMENT.has(before.raw)) ||
      (before?.type === 'name' &&
        (MODIFIERS.test(before.raw) || BEFORE_STATEMENT.has(before.raw.toLowerCase()) || this.#isTyped(index)))
    if (!isStatement) return []
    const path = [this.#raw(index)]
    let at = index + 1
    for (
      let key = this.#literal(at + 1);
      this.#raw(at) === '[' && key !== undefined && this.#raw(at + 2) === ']';
      key = this.#literal(at + 1)
    ) {
      path.push(key)
      at += 3
    }
    return this.#raw(at) === '=' ? this.#value(at + 1, this.#end(at + 1), path) : []
  }

  /** `public ?string $host`. */
  #isTyped(index: number): boolean {
    let at = index - 1
    while (this.#tokens[at]?.type === 'name' || ['?', '|'].includes(this.#raw(at))) {
      if (MODIFIERS.test(this.#raw(at))) return true
      at -= 1
    }
    return false
  }

  /** A literal text or whole number that is a name or a key. */
  #literal(index: number): string | undefined {
    const token = this.#tokens[index]
    return token?.type === 'text' || token?.type === 'number' ? phpValue([token])?.text : undefined
  }

  /** Index of what ends the expression that begins here: `,` `;` or a closing bracket around it. */
  #end(start: number): number {
    let depth = 0
    for (let at = start; at < this.#tokens.length; at += 1) {
      const { type, raw } = this.#tokens[at] ?? { type: 'sign', raw: ';' }
      if (type !== 'sign') continue
      if (OPENS.has(raw)) depth += 1
      else if (CLOSES.has(raw) && depth > 0) depth -= 1
      else if (depth === 0 && (CLOSES.has(raw) || raw === ',' || raw === ';')) return at
    }
    return this.#tokens.length
  }

  /** Index of the bracket that closes the list whose first member begins here. */
  #closing(start: number): number {
    let at = this.#end(start)
    while (this.#raw(at) === ',') at = this.#end(at + 1)
    return at
  }

  #value(start: number, end: number, path: readonly string[]): readonly Slot[] {
    const tokens = this.#tokens.slice(start, end)
    const [first] = tokens
    const last = tokens.at(-1)
    if (first === undefined || last === undefined) return []
    const place = {
      path,
      from: first.from,
      to: last.to,
      spell: (value: Parameters<Slot['spell']>[0]) => phpLiteral(value, first.raw),
    }
    const value = phpValue(tokens)
    if (value !== undefined) return [{ ...place, value }]
    const open =
      first.raw === '[' ? start + 1 : first.raw.toLowerCase() === 'array' && this.#raw(start + 1) === '(' ? start + 2 : undefined
    if (open !== undefined && this.#closing(open) === end - 1) {
      const slot: Slot = { ...place, value: undefined, refusal: notAValue('an array') }
      return [...(path.length === 0 ? [] : [slot]), ...this.#members(open, end - 1, path)]
    }
    const what = first.type === 'name' && this.#raw(start + 1) === '(' ? `${first.raw}(…)` : 'more than one plain value'
    return path.length === 0
      ? []
      : [
          {
            ...place,
            value: undefined,
            refusal: {
              code: 'config-is-expression',
              message: `is computed when the page is asked for: ${what}`,
              hint: 'Set what it is computed from (a variable of the environment) on the new host, or add  overwriteExpressions: true  to this item to put the value in its place.',
            },
          },
        ]
  }

  #members(start: number, end: number, path: readonly string[]): readonly Slot[] {
    const slots: Slot[] = []
    let number = 0
    for (let at = start; at < end; ) {
      const next = this.#end(at)
      const key = this.#raw(at + 1) === '=>' ? this.#literal(at) : undefined
      const hasKey = this.#tokens.slice(at, next).some(({ raw }, index) => raw === '=>' && index === 1)
      if (key !== undefined) slots.push(...this.#value(at + 2, next, [...path, key]))
      else if (!hasKey) {
        slots.push(...this.#value(at, next, [...path, String(number)]))
        number += 1
      }
      at = next + 1
    }
    return slots
  }
}
