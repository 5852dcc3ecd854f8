import { MigrateError } from '../../base/errors.ts'
import { nearest } from '../../base/nearest.ts'
import { lineOf } from '../text.ts'
import { type Config, type ConfigFormat, type ConfigValue, type Scalar, type Slot, withEdits } from './config.ts'

/** A setting that is to have a value. */
export interface Setting {
  readonly path: readonly string[]
  readonly value: Scalar
}

export interface SetOptions {
  readonly ascii: boolean
  /** A setting whose value is computed (`getenv(…)`) is overwritten, too. */
  readonly overExpressions: boolean
}

/** So many names are listed where none is near. */
const LISTED = 12
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/

/**
 * The text with every setting at its value; whatever isn't part of a value that changes stays as it is. A value that stands there
 * already isn't touched, so doing it twice is doing it once. A value keeps the kind that stands there: a text in quotes stays one,
 * a number stays a number.
 *
 * Throws MigrateErrors whose messages go on from the file's name ("web.config on HOST "): `config-unreadable`,
 * `config-setting-missing`, `config-setting-ambiguous`, `config-is-*` (Refusal), `config-value-impossible`.
 */
export function setValues(format: ConfigFormat, text: string, settings: readonly Setting[], options: SetOptions): string {
  const config = format(text, options)
  const edits = settings.flatMap((setting) => {
    const slot = slotOf(config, text, setting, options)
    const value = asKind(setting, slot)
    return isSame(slot.value, value) ? [] : [{ from: slot.from, to: slot.to, text: spelled(slot, value, setting) }]
  })
  const result = withEdits(text, edits)
  if (edits.length > 0) readBack(format, result, settings, options)
  return result
}

function slotOf(config: Config, text: string, setting: Setting, options: SetOptions): Slot {
  const [slot, ...others] = config.find(setting.path)
  if (slot === undefined) throw missing(config, setting)
  if (others.length > 0) {
    const lines = [slot, ...others].map((each) => lineOf(text, each.from)).join(', ')
    throw new MigrateError(
      'config-setting-ambiguous',
      `has the setting ${nameOf(setting)} ${others.length + 1} times, in lines ${lines}: which one counts can't be told.`,
      { hint: 'Remove the others from the file, or change it with replace: and a text that stands there once.' },
    )
  }
  const { refusal } = slot
  if (refusal === undefined || (refusal.code === 'config-is-expression' && options.overExpressions)) return slot
  throw new MigrateError(refusal.code, `line ${lineOf(text, slot.from)}: the setting ${nameOf(setting)} ${refusal.message}.`, {
    hint: refusal.hint,
  })
}

const nameOf = ({ path }: Setting): string => path.join('.')

function missing(config: Config, setting: Setting): MigrateError {
  const names = [
    ...new Set(config.slots.filter(({ refusal }) => refusal?.code !== 'config-not-a-value').map(({ path }) => path.join('.'))),
  ]
  const near = names.find((name) => name.toLowerCase() === nameOf(setting).toLowerCase()) ?? nearest(nameOf(setting), names)
  const listed = names.slice(0, LISTED).join(', ') + (names.length > LISTED ? ', …' : '')
  return new MigrateError('config-setting-missing', `has no setting ${nameOf(setting)}.`, {
    hint:
      near !== undefined
        ? `Did you mean "${near}"?`
        : names.length === 0
          ? 'No setting was found in it at all: is it the right file?'
          : `It has: ${listed}.`,
  })
}

/** The kind that stands there is kept; where it says nothing, the playbook's own counts. */
function asKind(setting: Setting, slot: Slot): ConfigValue {
  const given = setting.value
  const text = String(given)
  switch (slot.value?.kind) {
    case 'text':
      return { kind: 'text', text }
    case 'number':
      if (typeof given !== 'boolean' && NUMBER.test(text)) return { kind: 'number', text }
      throw wrongKind(setting, 'a number')
    case 'boolean':
      if (/^(true|false)$/i.test(text)) return { kind: 'boolean', text: text.toLowerCase() }
      throw wrongKind(setting, 'true or false')
    default:
      return { kind: typeof given === 'string' ? 'text' : typeof given === 'number' ? 'number' : 'boolean', text }
  }
}

const wrongKind = (setting: Setting, kind: string): MigrateError =>
  new MigrateError('config-value-impossible', `holds ${kind} as ${nameOf(setting)}, and the playbook gives something else.`, {
    hint: 'Correct the value in the playbook.',
  })

const isSame = (a: ConfigValue | undefined, b: ConfigValue): boolean => a !== undefined && a.kind === b.kind && a.text === b.text

function spelled(slot: Slot, value: ConfigValue, setting: Setting): string {
  try {
    return slot.spell(value)
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error
    throw new MigrateError(error.code, `${error.message.replace(/\.$/, '')} (${nameOf(setting)}).`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    })
  }
}

/** What was written must read as what was meant, whatever stood around it. */
function readBack(format: ConfigFormat, text: string, settings: readonly Setting[], options: SetOptions): void {
  const config = format(text, options)
  for (const setting of settings) {
    const slot = slotOf(config, text, setting, options)
    if (isSame(slot.value, asKind(setting, slot))) continue
    throw new MigrateError('config-value-impossible', `would not hold ${nameOf(setting)} as the playbook gives it.`, {
      hint: 'Give the setting once only, and a value of the kind that the file has there.',
    })
  }
}
