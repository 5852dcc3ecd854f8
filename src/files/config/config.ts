import { MigrateError } from '../../base/errors.ts'
import { lineOf } from '../text.ts'

/** What a playbook writes for a setting. */
export type Scalar = string | number | boolean

/** A value as text, so that no number loses a digit: `null`, `true` and `587` as they are spelled. */
export interface ConfigValue {
  readonly kind: 'text' | 'number' | 'boolean' | 'null'
  readonly text: string
}

/** A place in a config's text that holds one value. Offsets are in UTF-16 units of the text. */
export interface Slot {
  /** The setting's name, part by part. */
  readonly path: readonly string[]
  /** The value with its quotes. */
  readonly from: number
  readonly to: number
  /** `undefined`: nothing that can be compared with a value. */
  readonly value: ConfigValue | undefined
  /** How a value is written in this place; throws a MigrateError when it can't be. */
  spell(value: ConfigValue): string
  /** Why this place is not to be changed. */
  readonly refusal?: Refusal
}

export interface Refusal {
  readonly code: 'config-is-expression' | 'config-is-elsewhere' | 'config-is-encrypted' | 'config-not-a-value'
  /** Goes on from "The setting X ". Never holds the value. */
  readonly message: string
  readonly hint: string
}

/** A config's text, read by the rules of its format. */
export interface Config {
  /** Every setting, in the order of the text. */
  readonly slots: readonly Slot[]
  /** The settings that a name in a playbook means; usually one. */
  find(path: readonly string[]): readonly Slot[]
}

/**
 * Reads a text. `ascii`: what is written must be ASCII, since the file's encoding doesn't hold all characters and the format can
 * escape them. Throws `config-unreadable` when the text isn't of this format.
 */
export type ConfigFormat = (text: string, options: { readonly ascii: boolean }) => Config

/** A text that isn't of the format: `problem` goes on from "isn't valid JSON: ". */
export const unreadable = (format: string, text: string, offset: number, problem: string): MigrateError =>
  new MigrateError('config-unreadable', `is no ${format} that can be changed safely: line ${lineOf(text, offset)} ${problem}.`, {
    hint: 'Mend the file, or change it with replace: instead.',
  })

export const unspeakable = (what: string): MigrateError =>
  new MigrateError('config-value-impossible', `can't hold the value: ${what}.`, {
    hint: 'Choose a value without such characters.',
  })

export const textOf = (text: string): ConfigValue => ({ kind: 'text', text })

/** A setting that holds further settings. */
export const notAValue = (what: string): Refusal => ({
  code: 'config-not-a-value',
  message: `holds ${what}, not a single value`,
  hint: 'Name one setting inside it.',
})

/**
 * Finds settings by a path whose parts may be written as one name, joined by dots or colons, with [0] for the first of a list:
 * the parts as they are come first, so a name that holds a dot is found too.
 */
export function findByPath(slots: readonly Slot[], path: readonly string[]): readonly Slot[] {
  const exact = slots.filter((slot) => slot.path.length === path.length && slot.path.every((part, index) => part === path[index]))
  if (exact.length > 0) return exact
  const wanted = flat(path)
  return slots.filter((slot) => flat(slot.path) === wanted)
}

const flat = (path: readonly string[]): string =>
  path
    .join('.')
    .replace(/\[(\d+)\]/g, '.$1')
    .replaceAll(':', '.')

/** Applies edits that don't overlap. */
export function withEdits(
  text: string,
  edits: readonly { readonly from: number; readonly to: number; readonly text: string }[],
): string {
  let result = text
  for (const edit of edits.toSorted((a, b) => b.from - a.from))
    result = result.slice(0, edit.from) + edit.text + result.slice(edit.to)
  return result
}
