import { MigrateError } from '../base/errors.ts'
import { withEdits } from '../files/config/config.ts'
import { type XmlElement, xmlElements } from '../files/config/xml-elements.ts'
import { decodeText, encodeText } from '../files/text.ts'
import type { StandingFile } from './file-change.ts'

export const WEB_CONFIG = 'web.config'

const [BEGIN, END] = ['<!-- BEGIN migrate relay -->', '<!-- END migrate relay -->']
const SECTION = /(?:\r?\n)?<!-- BEGIN migrate relay -->[\s\S]*?<!-- END migrate relay -->/g
const EMPTY = '<?xml version="1.0" encoding="utf-8"?>\n<configuration>\n</configuration>\n'

/**
 * `web.config` with a redirect of all but ACME's files, everything else kept as it is. Where the site has rules of URL Rewrite, so
 * the module is there: a rule before them (Microsoft Learn, "URL Rewrite Module Configuration Reference": redirectType Temporary is
 * 307; UNENCODED_URL is path and query as sent). Elsewhere IIS's own httpRedirect (Microsoft Learn, "HTTP Redirects
 * <httpRedirect>": Temporary is 307, and path and query are appended unless exactDestination). Throws MigrateErrors.
 */
export function webConfigRedirect(to: URL, standing: StandingFile | null): Buffer {
  const file = decodeText(standing?.bytes ?? Buffer.from(EMPTY))
  const label = `${WEB_CONFIG} on ${standing?.label ?? 'the old host'}`
  try {
    return encodeText({ ...file, text: redirected(to, file.text.replace(SECTION, '')) })
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error
    throw new MigrateError(error.code, `${label} ${error.message} It was left as it is.`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    })
  }
}

function redirected(to: URL, text: string): string {
  const newline = text.includes('\r\n') ? '\r\n' : '\n'
  const root = xmlElements(text)[0]
  if (root?.name !== 'configuration') throw refused('begins with another element than <configuration>.')
  const server = child(root, 'system.webServer')
  const rewrite = child(server, 'rewrite')
  const rules = child(rewrite, 'rules')
  for (const each of [server, rewrite, rules]) {
    if (each?.attributes.some(({ name }) => name === 'configSource') === true)
      throw refused(`keeps <${each.name}> in another file (configSource).`)
  }
  const insert = (parent: XmlElement, lines: readonly string[]) => insertion(text, parent, marked(lines, newline))
  // A rule that is inherited stands before all others, and <clear /> takes away what stands before it.
  if (rules !== undefined) return withEdits(text, [insert(child(rules, 'clear') ?? rules, ruleFor(to))])
  if (rewrite !== undefined) return withEdits(text, [insert(rewrite, ['<rules>', ...ruleFor(to), '</rules>'])])
  if (child(server, 'httpRedirect') !== undefined) throw refused('redirects already, by an <httpRedirect> of its own.')
  const redirect = `<httpRedirect enabled="true" destination="${escaped(to.origin)}" exactDestination="false" httpResponseStatus="Temporary" />`
  const acme = [
    '<location path=".well-known/acme-challenge">',
    '<system.webServer><httpRedirect enabled="false" /></system.webServer>',
    '</location>',
  ]
  if (server !== undefined) return withEdits(text, [insert(root, acme), insert(server, [redirect])])
  return withEdits(text, [insert(root, [...acme, '<system.webServer>', redirect, '</system.webServer>'])])
}

const ruleFor = (to: URL): readonly string[] => [
  '<rule name="migrate relay" stopProcessing="true">',
  '<match url=".*" />',
  '<conditions><add input="{UNENCODED_URL}" pattern="^/\\.well-known/acme-challenge/" negate="true" /></conditions>',
  `<action type="Redirect" url="${escaped(to.origin)}{UNENCODED_URL}" appendQueryString="false" redirectType="Temporary" />`,
  '</rule>',
]

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;')

const child = (parent: XmlElement | undefined, name: string): XmlElement | undefined =>
  parent?.children.find((each) => each.name === name)

const marked = (lines: readonly string[], newline: string): string =>
  [BEGIN, ...lines, END].map((line) => newline + line).join('')

/** As the first thing within an element; after one that is empty by its nature (`<clear />`); `<a />` becomes `<a>…</a>`. */
function insertion(text: string, element: XmlElement, inner: string): { from: number; to: number; text: string } {
  if (element.name !== 'clear' && element.content !== undefined)
    return { from: element.content.from, to: element.content.from, text: inner }
  const end = endOfTag(text, element)
  if (element.name === 'clear') return { from: end, to: end, text: inner }
  return { from: end - 2, to: end, text: `>${inner}</${element.name}>` }
}

function endOfTag(text: string, { at, attributes, content, name }: XmlElement): number {
  if (content !== undefined) return content.to + `</${name}>`.length
  return text.indexOf('>', (attributes.at(-1)?.to ?? at) + 1) + 1
}

const refused = (what: string): MigrateError =>
  new MigrateError('relay-web-config', what, {
    hint: 'Use relay: { with: connection }, or put the redirect there by hand.',
  })
