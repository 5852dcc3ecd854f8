import { z } from 'zod'
import { nearest } from '../base/nearest.ts'
import { oneOf } from './problems.ts'
import type { Path, Source, Value } from './source.ts'

type Issue = z.core.$ZodIssue
type RawIssue = z.core.$ZodRawIssue

const KEYS = 'known keys:'

/**
 * Checks a part of the playbook against its schema. What is wrong is complained of in `source`, each at its own place; the parsed
 * value comes back only when nothing was.
 *
 * @param label how messages name the part; its path when left out
 */
export function checked<T>(
  schema: z.ZodType<T>,
  value: Value | undefined,
  path: Path,
  source: Source,
  label?: string,
): T | undefined {
  const result = schema.safeParse(value, { error: words })
  if (result.success) return result.data
  for (const issue of result.error.issues) complain(issue, { path, source, label: label ?? source.name(path) })
  return undefined
}

/**
 * The same for a mapping, each member on its own, so that a mistake in one hides none in another. Members that are wrong or absent
 * are `undefined`. A value that is no mapping at all is complained of once.
 */
export function checkedParts<S extends z.ZodRawShape>(shape: S, value: Value, path: Path, source: Source): Parts<S> {
  const parts: Record<string, unknown> = {}
  const loose = z.strictObject(Object.fromEntries(Object.keys(shape).map((key) => [key, z.unknown().optional()])))
  checked(loose, value, path, source)
  if (isMapping(value)) {
    for (const [key, schema] of Object.entries(shape)) {
      parts[key] = checked(schema as z.ZodType, Object.hasOwn(value, key) ? value[key] : undefined, [...path, key], source)
    }
  }
  return parts as Parts<S>
}

type Parts<S extends z.ZodRawShape> = { readonly [K in keyof S]: z.infer<S[K]> | undefined }

export const isMapping = (value: Value | undefined): value is { readonly [key: string]: Value } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

interface Place {
  readonly path: Path
  readonly source: Source
  readonly label: string
}

function complain(issue: Issue, place: Place): void {
  if (issue.code === 'invalid_union' && issue.errors.length > 0) complainOfUnion(issue, place)
  else if (issue.code === 'unrecognized_keys') complainOfKeys(issue, place)
  else if (issue.code === 'invalid_key' || issue.code === 'invalid_element') {
    for (const inner of issue.issues) complain({ ...inner, path: [...issue.path, ...inner.path] }, place)
  } else complainOfValue(issue, place)
}

function complainOfValue(issue: Issue, place: Place): void {
  const [message, hint] = split(issue.message)
  const inner = partsOf(issue.path)
  const path = [...place.path, ...inner]
  const name = named(place, inner)
  // A missing key is complained of where its parent's key stands: `position` finds that by itself.
  place.source.complain(path, /^[a-z]/.test(message) ? `${name} ${message}.` : `${name}: ${message}`, hint)
}

/** The alternative that was meant is the one whose outermost shape fits; when none does, all shapes are named. */
function complainOfUnion(issue: Extract<Issue, { code: 'invalid_union' }>, place: Place): void {
  const meant = issue.errors.filter((branch) => !branch.some((inner) => inner.path.length === 0 && isShape(inner)))
  const best = meant.sort((a, b) => a.length - b.length)[0]
  if (best) {
    for (const inner of best) complain({ ...inner, path: [...issue.path, ...inner.path] }, place)
    return
  }
  const shapes = issue.errors.flatMap((branch) => branch.filter((inner) => inner.path.length === 0).flatMap(shapesOf))
  const inner = partsOf(issue.path)
  const own = issue.message.startsWith('must') ? split(issue.message) : undefined
  const [message, hint] = own ?? [`must be ${oneOf([...new Set(shapes)])}`, DEFAULT_HINT]
  place.source.complain([...place.path, ...inner], `${named(place, inner)} ${message}.`, hint)
}

const isShape = (issue: Issue): boolean =>
  issue.code === 'invalid_type' || issue.code === 'invalid_value' || issue.code === 'invalid_union'

const shapesOf = (issue: Issue): readonly string[] => {
  if (issue.code === 'invalid_value') return issue.values.map(String)
  if (issue.code === 'invalid_type') return [TYPES[issue.expected] ?? issue.expected]
  return []
}

function complainOfKeys(issue: Extract<Issue, { code: 'unrecognized_keys' }>, place: Place): void {
  const inner = partsOf(issue.path)
  const known = issue.message.startsWith(KEYS) ? issue.message.slice(KEYS.length).split(' ') : []
  const where = named(place, inner)
  for (const key of issue.keys) {
    const path = [...place.path, ...inner, key]
    place.source.complain(
      path,
      `${where === '' ? 'A playbook' : where} has no key "${place.source.keyText(path)}".`,
      keyHint(key, known),
      'key',
    )
  }
}

/** "Did you mean …?" with the nearest key, or all keys when none is near. */
export function keyHint(given: string, known: readonly string[]): string {
  const near = nearest(given, known)
  if (near !== undefined) return `Did you mean "${near}"?`
  return known.length === 0 ? 'Remove it.' : `It may have: ${known.join(', ')}.`
}

const partsOf = (path: readonly PropertyKey[]): Path => path.map((part) => (typeof part === 'number' ? part : String(part)))

/** The place's label with the way from there: `lower-ttl` and `ttl` → `lower-ttl.ttl`. */
const named = (place: Place, inner: Path): string => {
  const whole = place.source.name([...place.path, ...inner])
  const rest = whole.slice(place.source.name(place.path).length)
  return place.label === '' ? rest.replace(/^\./, '') : `${place.label}${rest}`
}

const DEFAULT_HINT = 'See the examples in playbooks/.'

/** A schema's own message may carry a hint after a line break. */
const split = (message: string): readonly [string, string] => {
  const [first = '', ...rest] = message.split('\n')
  return [first, rest.length > 0 ? rest.join(' ') : DEFAULT_HINT]
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping (key: value)',
  record: 'a mapping (key: value)',
  array: 'a list',
  null: 'empty',
}

/** Plain words for the library's findings; never repeats the value, which may be a secret. */
function words(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return typeWords(TYPES[issue.expected] ?? issue.expected, issue.input, issue.expected)
    case 'unrecognized_keys':
      return KEYS + knownKeys(issue.inst).join(' ')
    case 'invalid_value':
      return issue.input === undefined ? 'is missing\nAdd it.' : `must be ${oneOf(issue.values.map(String))}`
    case 'too_small':
      return issue.origin === 'number' || issue.origin === 'int' ? `must be at least ${issue.minimum}` : 'may not be empty'
    case 'too_big':
      return issue.origin === 'number' || issue.origin === 'int' ? `may be at most ${issue.maximum}` : 'is too long'
    case 'invalid_union':
      return 'has the wrong form'
    case 'invalid_format':
      return 'has the wrong form'
    default:
      return undefined
  }
}

function typeWords(expected: string, input: unknown, type: string): string {
  if (input === undefined) return 'is missing\nAdd it.'
  if (input === null) return `is empty; it must be ${expected}\nFill it in, or remove the key.`
  const quotes = type === 'string' && (typeof input === 'number' || typeof input === 'boolean')
  return quotes ? 'must be text\nPut it in quotes.' : `must be ${expected}`
}

const knownKeys = (inst: unknown): readonly string[] => {
  if (typeof inst !== 'object' || inst === null || !('shape' in inst)) return []
  return typeof inst.shape === 'object' && inst.shape !== null ? Object.keys(inst.shape) : []
}
