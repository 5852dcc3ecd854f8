import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser'
import { type Config, type ConfigFormat, type ConfigValue, findByPath, notAValue, type Slot, unreadable } from './config.ts'

/** JSON as .NET and editors read it: comments, trailing commas. A setting's path has the names of its objects and indexes of lists. */
export const jsonFormat: ConfigFormat = (text, { ascii }): Config => {
  const errors: ParseError[] = []
  const root = parseTree(text, errors, { allowTrailingComma: true })
  const [error] = errors
  if (error !== undefined) throw unreadable('JSON', text, error.offset, `has a mistake (${printParseErrorCode(error.error)})`)
  if (root === undefined) throw unreadable('JSON', text, 0, 'begins no value')
  const slots = slotsOf(root, [], text, ascii)
  return { slots, find: (path) => findByPath(slots, path) }
}

function slotsOf(node: Node, path: readonly string[], text: string, ascii: boolean): readonly Slot[] {
  const inside = (node.children ?? []).flatMap((child, index) => {
    if (node.type === 'array') return slotsOf(child, [...path, String(index)], text, ascii)
    const [key, value] = child.children ?? []
    return key === undefined || value === undefined ? [] : slotsOf(value, [...path, String(key.value)], text, ascii)
  })
  const place = { path, from: node.offset, to: node.offset + node.length, spell: (value: ConfigValue) => spell(value, ascii) }
  if (node.type !== 'object' && node.type !== 'array') return [{ ...place, value: valueStanding(node, text) }]
  const refusal = notAValue(node.type === 'object' ? 'an object' : 'a list')
  return path.length === 0 ? inside : [{ ...place, value: undefined, refusal }, ...inside]
}

function valueStanding(node: Node, text: string): ConfigValue {
  if (node.type === 'string') return { kind: 'text', text: String(node.value) }
  const written = text.slice(node.offset, node.offset + node.length)
  return { kind: node.type === 'number' ? 'number' : node.type === 'boolean' ? 'boolean' : 'null', text: written }
}

function spell({ kind, text }: ConfigValue, ascii: boolean): string {
  if (kind !== 'text') return text
  const spelled = JSON.stringify(text)
  return ascii ? spelled.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`) : spelled
}
