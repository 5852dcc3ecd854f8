import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseAllDocuments,
  parseDocument,
  type Scalar,
} from 'yaml'
import {
  type Config,
  type ConfigFormat,
  type ConfigValue,
  findByPath,
  notAValue,
  type Refusal,
  type Slot,
  textOf,
  unreadable,
} from './config.ts'

/** Means itself without quotes, in YAML 1.1 and 1.2, also within [ ] and { }. */
const PLAIN = /^[A-Za-z0-9_/](?:[\w./+@=~:;%?()$*!' -]*[\w./+@=~%?()$*!'-])?$/

/** YAML with comments, anchors and several documents; a setting's path has the keys, and indexes of lists. */
export const yamlFormat: ConfigFormat = (text): Config => {
  const documents = parseAllDocuments(text, { uniqueKeys: false, logLevel: 'silent', stringKeys: true })
  const slots = (Array.isArray(documents) ? documents : []).flatMap((document: Document.Parsed) => {
    const [error] = document.errors
    if (error !== undefined) throw unreadable('YAML', text, error.pos[0], `has a mistake (${error.code})`)
    return document.contents === null ? [] : slotsOf(document.contents, [], text)
  })
  return { slots, find: (path) => findByPath(slots, path) }
}

function slotsOf(node: Node, path: readonly string[], text: string): readonly Slot[] {
  const [from, to] = node.range ?? [0, 0]
  const place = { path, from, to, spell: (value: ConfigValue) => spell(value, 'PLAIN') }
  if (isAlias(node)) {
    const refusal: Refusal = {
      code: 'config-is-elsewhere',
      message: `is an alias: its value stands where the anchor &${node.source} is`,
      hint: `Change the setting that has the anchor &${node.source}, or write the value out in the file.`,
    }
    return [{ ...place, value: undefined, refusal }]
  }
  if (isScalar(node)) return [scalarSlot(node, path, text)]
  if (!isMap(node) && !isSeq(node)) return []
  const refusal = notAValue(isMap(node) ? 'further settings' : 'a list')
  const inside = isMap(node)
    ? node.items.flatMap((pair) => pairSlots(pair, path, text))
    : node.items.flatMap((item, index) => (isNode(item) ? slotsOf(item, [...path, String(index)], text) : []))
  return path.length === 0 ? inside : [{ ...place, value: undefined, refusal }, ...inside]
}

const isNode = (value: unknown): value is Node => isScalar(value) || isMap(value) || isSeq(value) || isAlias(value)

function pairSlots(pair: Pair, path: readonly string[], text: string): readonly Slot[] {
  if (!isScalar(pair.key) || !isNode(pair.value)) return []
  return slotsOf(pair.value, [...path, pair.key.source ?? String(pair.key.value)], text)
}

function scalarSlot(node: Scalar, path: readonly string[], text: string): Slot {
  const [from, to] = node.range ?? [0, 0]
  const written = text.slice(from, to)
  const isBlock = node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED'
  // Where nothing stands, neither the colon before it nor a comment after it may touch the value.
  const isEmpty = from === to
  const before = isEmpty && /\S/.test(text[from - 1] ?? ' ') ? ' ' : ''
  const after = isEmpty && text[to] === '#' ? ' ' : ''
  const end = isBlock ? (/\s*$/.exec(written)?.[0] ?? '') : ''
  const place = {
    path,
    from,
    to: to - end.length,
    value: valueStanding(node, written),
    spell: (value: ConfigValue) => before + spell(value, node.type ?? 'PLAIN') + after,
  }
  if (node.tag === undefined || node.tag.startsWith('tag:yaml.org,2002:')) return place
  const refusal: Refusal = {
    code: 'config-is-expression',
    message: `has the tag ${node.tag}, which gives it a meaning of its own`,
    hint: 'Change what the tag refers to, or change the file with replace: instead.',
  }
  return { ...place, value: undefined, refusal }
}

function valueStanding(node: Scalar, written: string): ConfigValue {
  if (node.value === null) return { kind: 'null', text: 'null' }
  if (typeof node.value === 'boolean') return { kind: 'boolean', text: String(node.value) }
  if (typeof node.value === 'number') return { kind: 'number', text: written }
  return textOf(String(node.value))
}

/** In the style that stands there, where the value can be written so. */
function spell({ kind, text }: ConfigValue, style: string): string {
  if (kind !== 'text') return text
  const isSimple = !/[^ -~\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/u.test(text)
  if (style === 'PLAIN' && isPlain(text)) return text
  if (style === 'QUOTE_DOUBLE' || !isSimple) return escaped(text)
  return `'${text.replaceAll("'", "''")}'`
}

const escaped = (text: string): string =>
  JSON.stringify(text).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

const isPlain = (text: string): boolean =>
  PLAIN.test(text) &&
  !text.includes(': ') &&
  (['1.1', '1.2'] as const).every((version) => parseDocument(text, { version, logLevel: 'silent' }).toJS() === text)
