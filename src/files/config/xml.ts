import {
  type Config,
  type ConfigFormat,
  type ConfigValue,
  notAValue,
  type Refusal,
  type Slot,
  textOf,
  unspeakable,
} from './config.ts'
import { unescaped, type XmlAttribute, type XmlElement, xmlElements } from './xml-elements.ts'

/** Characters that XML 1.0 has no spelling for (section 2.2), and halves of a pair. */
const IMPOSSIBLE = /[^\t\n\r -\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u
/** A text that declares another encoding than those that hold all characters. */
const NARROW = /^<\?xml[^>]*?\sencoding\s*=\s*["'](?!utf-?(?:8|16))[^"']*["']/i

/** `connectionStrings` of ASP.NET's web.config and app.config: name → connection string. */
export const connectionStringsFormat: ConfigFormat = section('connectionStrings', 'name', 'connectionString')

/** `appSettings` of the same: key → value. */
export const appSettingsFormat: ConfigFormat = section('appSettings', 'key', 'value')

/** Entries `<add>` of a section that stands right below the document's root, or is the root of a file of its own. */
function section(name: string, key: string, attribute: string): ConfigFormat {
  return (text, options): Config => {
    const ascii = options.ascii || NARROW.test(text)
    const elements = xmlElements(text)
    const found = elements.filter((each) => each.name === name && each.parent?.parent === undefined)
    const slots = found.flatMap((each) =>
      each.children.filter((child) => child.name === 'add').flatMap((child) => entry(child, key, attribute, ascii)),
    )
    const refused = found.flatMap((each) => {
      const refusal = elsewhere(each)
      return refusal === undefined ? [] : [{ each, refusal }]
    })
    return {
      slots,
      find: (path) => {
        const wanted = path.join('.')
        const [first] = refused
        if (first === undefined) return slots.filter((slot) => slot.path[0] === wanted)
        // The whole section is somewhere else, so every name in it is.
        return [
          { path, from: first.each.at, to: first.each.at, value: undefined, spell: spelling('"', ascii), refusal: first.refusal },
        ]
      },
    }
  }
}

function entry(element: XmlElement, key: string, attribute: string, ascii: boolean): readonly Slot[] {
  const name = element.attributes.find((each) => each.name === key)?.value
  const value = element.attributes.find((each) => each.name === attribute)
  return name === undefined || value === undefined ? [] : [attributeSlot([name], value, ascii)]
}

function elsewhere(element: XmlElement): Refusal | undefined {
  const attribute = (name: string): XmlAttribute | undefined => element.attributes.find((each) => each.name === name)
  const source = attribute('configSource')
  if (source !== undefined)
    return {
      code: 'config-is-elsewhere',
      message: `is kept in another file: <${element.name}> says configSource="${source.value ?? '…'}"`,
      hint: `Give that file an item of its own: { file: ${source.value?.replaceAll('\\', '/') ?? '…'}, ${element.name}: … }.`,
    }
  if (attribute('configProtectionProvider') === undefined && !element.children.some(({ name }) => name === 'EncryptedData'))
    return undefined
  return {
    code: 'config-is-encrypted',
    message: `is encrypted: <${element.name}> has a configProtectionProvider, whose key is the old machine's own`,
    hint: `Decrypt it on the old host (aspnet_regiis -pdf "${element.name}" FOLDER), or replace the section by a plain one, and take the snapshot again; the new host can't read it as it is either.`,
  }
}

/** A part of a path: an element's name, perhaps with the value of one of its attributes, or an attribute. */
interface Step {
  readonly name: string
  readonly where: readonly (readonly [string, string])[]
}

/**
 * Any attribute or text of an XML file, by its way from the root: `configuration/system.net/mailSettings/smtp/network/@host`, or
 * `root/add[@key='Shop']/@value` where several are alike.
 */
export const xmlFormat: ConfigFormat = (text, options): Config => {
  const ascii = options.ascii || NARROW.test(text)
  const all = xmlElements(text).flatMap((element) => slotsOf(element, text, ascii))
  return {
    slots: all.map(({ slot }) => slot),
    find: (path) => {
      const steps = stepsOf(path.join('/'))
      return all.filter(({ slot, element }) => meets(slot, element, steps)).map(({ slot }) => slot)
    },
  }
}

interface Place {
  readonly slot: Slot
  readonly element: XmlElement
}

function slotsOf(element: XmlElement, text: string, ascii: boolean): readonly Place[] {
  const path = ancestry(element)
    .map(({ name }) => name)
    .join('/')
  const attributes = element.attributes.map((each) => ({ element, slot: attributeSlot([`${path}/@${each.name}`], each, ascii) }))
  const { content } = element
  if (content === undefined) return attributes
  const place = { path: [path], from: content.from, to: content.to, spell: spelling('', ascii) }
  const slot = element.isText
    ? { ...place, value: valueStanding(unescaped(text.slice(content.from, content.to).replace(/\r\n?/g, '\n'))) }
    : { ...place, value: undefined, refusal: notAValue('further elements or comments') }
  return [...attributes, { element, slot }]
}

const ancestry = (element: XmlElement): readonly XmlElement[] =>
  element.parent === undefined ? [element] : [...ancestry(element.parent), element]

function stepsOf(path: string): readonly Step[] {
  const parts = path.replace(/^\//, '').match(/(?:\[[^\]]*\]|[^/[])+/g) ?? []
  return parts.map((part) => ({
    name: part.replace(/\[[^\]]*\]/g, ''),
    where: [...part.matchAll(/\[\s*@([^\s=\]]+)\s*=\s*(?:'([^']*)'|"([^"]*)")\s*\]/g)].map(
      ([, name = '', single, double]) => [name, single ?? double ?? ''] as const,
    ),
  }))
}

function meets(slot: Slot, element: XmlElement, steps: readonly Step[]): boolean {
  const isAttribute = steps.at(-1)?.name.startsWith('@') === true
  if (slot.path[0] !== steps.map(({ name }) => name).join('/')) return false
  return ancestry(element).every((each, index) => {
    const step = isAttribute && index === steps.length - 1 ? undefined : steps[index]
    return (step?.where ?? []).every(([name, value]) => each.attributes.some((own) => own.name === name && own.value === value))
  })
}

const attributeSlot = (path: readonly string[], { from, to, value, quote }: XmlAttribute, ascii: boolean): Slot => ({
  path,
  from,
  to,
  value: valueStanding(value),
  spell: spelling(quote, ascii),
})

const valueStanding = (text: string | undefined): ConfigValue | undefined => (text === undefined ? undefined : textOf(text))

/** Within an attribute's quotes; `''`: between tags. What a reader would turn into a space or a line feed is written as its number. */
const spelling =
  (quote: '"' | "'" | '', ascii: boolean) =>
  ({ text }: ConfigValue): string => {
    if (IMPOSSIBLE.test(text)) throw unspeakable('XML has no way to write one of its characters')
    const number = (character: string): string => `&#${character.codePointAt(0)};`
    const escaped = text
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll(quote === '"' ? '"' : "'", quote === '"' ? '&quot;' : quote === "'" ? '&apos;' : "'")
      .replaceAll('>', quote === '' ? '&gt;' : '>')
      .replace(quote === '' ? /\r/g : /[\t\n\r]/g, number)
    return ascii ? escaped.replace(/[^\0-\x7f]/gu, number) : escaped
  }
