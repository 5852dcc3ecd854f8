import { playbookJsonSchema } from '../src/playbook/json-schema.ts'
import { stepKinds } from '../src/steps/index.ts'

/** The part of JSON Schema (draft 2020-12) that the playbook's schema uses. */
interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly items?: JsonSchema
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: boolean | JsonSchema
  readonly required?: readonly string[]
}

interface Row {
  readonly key: string
  readonly values: string
  readonly about: string
}

const BEGIN = '<!-- reference -->'
const END = '<!-- /reference -->'

/** The README with its reference made anew from the schemas that the parser uses. */
export function withReference(readme: string): string {
  const [before, rest] = split(readme, BEGIN)
  const [, after] = split(rest, END)
  return `${before}${BEGIN}\n\n${referenceText()}\n${END}${after}`
}

function split(text: string, mark: string): readonly [string, string] {
  const at = text.indexOf(mark)
  if (at < 0) throw new Error(`README.md has no line ${mark}.`)
  return [text.slice(0, at), text.slice(at + mark.length)]
}

function referenceText(): string {
  const { properties = {}, required } = playbookJsonSchema() as JsonSchema
  const { old = {}, new: _likeOld, ...rest } = properties
  const keys = Object.entries(rest).flatMap(([key, schema]) => (key === 'steps' ? [] : rowsOf(key, schema, required)))
  const hosts: Row = { key: '**`old`**, **`new`**', values: 'mapping', about: `${old.description}, and where it goes; see below` }
  const steps: Row = { key: '`steps`', values: 'list of steps', about: aboutOf(rest.steps ?? {}) }
  const head = ['key', 'value', 'meaning']
  return [
    '### Keys of a playbook',
    '',
    'A key in bold must be there. `a.b` is the key `b` below `a`; `[]` stands for each item of a list, `NAME` for a name of yours.',
    'What holds when a key is left out stands in brackets.',
    '',
    ...table(head, [...keys.slice(0, 1), hosts, ...keys.slice(1), steps]),
    '',
    '### Keys of `old` and `new`',
    '',
    ...table(head, below('', old)),
    '',
    '### Kinds of step',
    '',
    ...stepKinds.flatMap(({ name }) => stepText(name)),
  ].join('\n')
}

const table = (head: readonly string[], rows: readonly Row[]): readonly string[] => [
  `| ${head.join(' | ')} |`,
  `| ${head.map(() => '---').join(' | ')} |`,
  ...rows.map(({ key, values, about }) => `| ${key} | ${values} | ${about} |`),
]

function stepText(name: string): readonly string[] {
  const schema = optionsOf(name)
  const rows = schema.anyOf === undefined ? optionRows(schema) : schema.anyOf.flatMap((each) => optionRows(each))
  const options = rows.length === 0 ? [] : ['', ...table(['option', 'value', 'meaning'], rows)]
  return [`#### \`${name}\``, '', `${cell(schema.description ?? '').replace(/\.$/, '')}.${shortForm(schema)}`, ...options, '']
}

/** A step that may be given by one text, like `pause: Have the staff been told?`. */
const shortForm = (schema: JsonSchema): string =>
  schema.anyOf?.some((each) => each.type === 'string') ? ' May be given as a text alone.' : ''

function optionsOf(name: string): JsonSchema {
  const { $defs } = playbookJsonSchema() as { readonly $defs: { readonly step: JsonSchema } }
  const found = $defs.step.anyOf?.find((each) => each.properties?.[name] !== undefined)?.properties?.[name]
  if (found === undefined) throw new Error(`The playbook's schema has no step ${name}.`)
  return found
}

function optionRows(schema: JsonSchema): readonly Row[] {
  if (schema.type === 'array' && schema.items !== undefined) return below('[]', schema.items)
  return below('', schema)
}

/** A key's own row, and those of all keys below it. */
function rowsOf(key: string, schema: JsonSchema, required: readonly string[] = []): readonly Row[] {
  const name = key.replace(/^.*\./, '')
  const shown = required.includes(name) ? `**\`${key}\`**` : `\`${key}\``
  return [{ key: shown, values: valuesOf(schema), about: aboutOf(schema) }, ...below(key, schema)]
}

function below(key: string, schema: JsonSchema): readonly Row[] {
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap((each) => below(key, each))
  if (schema.type === 'array' && schema.items !== undefined) return below(`${key}[]`, schema.items)
  const named = Object.entries(schema.properties ?? {}).flatMap(([name, each]) =>
    rowsOf(key === '' ? name : `${key}.${name}`, each, schema.required),
  )
  const free = schema.additionalProperties
  return typeof free === 'object' && free.type !== 'string' ? [...named, ...rowsOf(`${key}.NAME`, free)] : named
}

function valuesOf(schema: JsonSchema): string {
  const words = [...new Set(kindsOf(schema))].join(' or ')
  const isPlain = schema.default !== undefined && JSON.stringify(schema.default) !== '{}'
  return isPlain ? `${words} (${code(schema.default)})` : words
}

function kindsOf(schema: JsonSchema): readonly string[] {
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap(kindsOf)
  if (schema.const !== undefined) return [code(schema.const)]
  if (schema.enum !== undefined) return schema.enum.map(code)
  if (schema.type === 'array')
    return [
      `list of ${kindsOf(schema.items ?? {})
        .map(plural)
        .join(' or ')}`,
    ]
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? [])
  return types.map((type) => NAMES[type] ?? type)
}

const NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'whole number',
  number: 'number',
  boolean: '`true` or `false`',
  object: 'mapping',
}

const plural = (noun: string): string => (noun.endsWith('`') ? noun : `${noun}s`)

const code = (value: unknown): string => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``

const aboutOf = (schema: JsonSchema): string => cell(schema.description ?? schema.items?.description ?? '')

/** A bar ends a cell of a table, and a line break ends the table. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
