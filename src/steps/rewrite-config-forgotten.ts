import type { Finding } from '../base/errors.ts'
import { MigrateError } from '../base/errors.ts'
import type { Slot } from '../files/config/config.ts'
import { CONFIG_FORMATS, type FormatKey } from '../files/config/formats.ts'
import { hideSecrets } from '../files/hide-secrets.ts'
import type { FileHost } from '../files/port.ts'
import { decodeText, isInsideName } from '../files/text.ts'
import type { Step, StepRun } from '../run/step.ts'
import { readConfig } from './file-change.ts'
import { RewriteConfig } from './rewrite-config.ts'
import type { Host, World } from './world.ts'

/** Where the common shops keep what they know of their host, and how it is read. */
const KNOWN: readonly (readonly [string, readonly FormatKey[]])[] = [
  ['web.config', ['connectionStrings', 'appSettings']],
  ['connectionStrings.config', ['connectionStrings']],
  ['appsettings.json', ['json']],
  ['appsettings.Production.json', ['json']],
  ['.env', ['env']],
  ['.env.local', ['env']],
  ['wp-config.php', ['php']],
  // Joomla; Magento; PrestaShop up to 1.6 and from 1.7 on; OpenCart, whose back office has a file of its own.
  ['configuration.php', ['php']],
  ['app/etc/env.php', ['php']],
  ['config/settings.inc.php', ['php']],
  ['app/config/parameters.php', ['php']],
  ['config.php', ['php']],
  ['admin/config.php', ['php']],
  ['.user.ini', ['ini']],
  ['config.ini', ['ini']],
  ['application.properties', ['properties']],
]

const PASSWORD = '$' + '{NEW_DB_PASSWORD}'
const IS_PASSWORD = /pass(?:word|wd|_)?|pwd/i
const IS_NAME = /(?:^|[_.:$])(?:db_?)?(?:name|database(?:_?name)?|dbname|db|user|username|database_?user)_?$/i

/**
 * Config files of known kinds on the old host that name its database or its site, and that no `rewrite-config` changes: after the
 * move the shop would go on writing to the old database. Each with the item to paste. Reads the old host's files; no password is
 * repeated.
 */
export async function forgottenConfigs(world: World, steps: readonly Step[], run: StepRun): Promise<readonly Finding[]> {
  const { files } = world.old
  if (files === undefined) return []
  const covered = new Set(steps.flatMap((step) => (step instanceof RewriteConfig ? step.files : [])).map(plain))
  const items = await rewritesFor(world, run, (file) => covered.has(plain(file)))
  return items.map(({ file, item }) => forgotten(file, files, item))
}

/** Items of `rewrite-config`, each as one line of YAML, for the known config files of the old host that name its database or site. */
export async function rewritesFor(
  world: World,
  run: Pick<StepRun, 'signal'>,
  isCovered: (file: string) => boolean = () => false,
): Promise<readonly { readonly file: string; readonly item: string }[]> {
  const { files } = world.old
  if (files === undefined || world.new.files === undefined) return []
  const words = new Words(world)
  const items: { file: string; item: string }[] = []
  for (const [file, formats] of KNOWN) {
    if (isCovered(file)) continue
    const item = await itemFor(file, formats, files, words, run)
    if (item !== undefined) items.push({ file, item })
  }
  return items
}

/** IIS takes upper and lower case for the same. */
const plain = (path: string): string => path.replace(/^\.\//, '').toLowerCase()

const forgotten = (file: string, host: FileHost, item: string): Finding => ({
  severity: 'warning',
  code: 'config-not-rewritten',
  message: `${file} on ${host.label} names the old host's database or site, and no rewrite-config changes it: on the new host the shop would still use the old one.`,
  hint: `Add to rewrite-config, after a look at it:  - ${item}`,
})

async function itemFor(
  file: string,
  formats: readonly FormatKey[],
  host: FileHost,
  words: Words,
  run: Pick<StepRun, 'signal'>,
): Promise<string | undefined> {
  if ((await host.stat(file))?.kind !== 'file') return undefined
  const { text } = decodeText((await readConfig(host, file, run)).bytes)
  const parts = formats.flatMap((key) => {
    const changed = slotsOf(key, text).flatMap((slot) => words.settingFor(slot))
    const names = changed.some(({ isTelling }) => isTelling)
    return names ? [`${key}: { ${changed.map(({ name, value }) => `${JSON.stringify(name)}: ${value}`).join(', ')} }`] : []
  })
  if (parts.length > 0) return `{ file: ${file}, ${parts.join(', ')} }`
  // Named somewhere else in it, or it can't be read: then by its text.
  const texts = words.hosts.filter(([from]) => standsIn(text, from))
  if (texts.length === 0) return undefined
  return `{ file: ${file}, replace: { ${texts.map(([from, to]) => `${JSON.stringify(from)}: ${JSON.stringify(to)}`).join(', ')} } }`
}

/** What can't be read can't be suggested by name; `rewrite-config` itself says why. */
function slotsOf(key: FormatKey, text: string): readonly Slot[] {
  try {
    return CONFIG_FORMATS[key](text, { ascii: false }).slots
  } catch (error) {
    if (error instanceof MigrateError) return []
    throw error
  }
}

function standsIn(text: string, word: string): boolean {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1))
    if (!isInsideName(text, at, word.length)) return true
  return false
}

interface Suggestion {
  readonly name: string
  /** As YAML. */
  readonly value: string
  /** It names the old host: not only a password or a user that may well be the same on the new one. */
  readonly isTelling: boolean
}

/** What only the old host is called, and what the new one is called instead. */
class Words {
  readonly hosts: readonly (readonly [string, string])[]
  readonly #names: readonly (readonly [string, string])[]
  readonly #password: string

  constructor(world: World) {
    const [old, target] = [world.old.databaseEnvironment?.(), world.new.databaseEnvironment?.()]
    const pairs = (names: readonly (readonly [string | undefined, string | undefined])[]) =>
      names.flatMap(([from, to]) => (from && to && from !== to ? [[from, to] as const] : []))
    this.hosts = pairs([
      [old?.MIGRATE_HOST, target?.MIGRATE_HOST],
      [siteOf(world.old, world), siteOf(world.new, world)],
    ])
    this.#names = pairs([
      [old?.MIGRATE_DATABASE, target?.MIGRATE_DATABASE],
      [old?.MIGRATE_USER, target?.MIGRATE_USER],
    ])
    this.#password = target === undefined ? '' : (old?.MIGRATE_PASSWORD ?? '')
  }

  /** The setting with the new host's words; [] for one that says nothing of the old host. */
  settingFor(slot: Slot): readonly Suggestion[] {
    const { path, value, refusal } = slot
    if (value?.kind !== 'text' || refusal !== undefined) return []
    const name = path.join('.')
    const isPassword = IS_PASSWORD.test(path.at(-1) ?? '') && this.#password !== '' && value.text === this.#password
    if (isPassword) return [{ name, value: quoted(PASSWORD), isTelling: false }]
    const renamed = IS_NAME.test(path.at(-1) ?? '') ? this.#names.find(([from]) => from === value.text) : undefined
    if (renamed !== undefined) return [{ name, value: quoted(renamed[1]), isTelling: true }]
    const hosts = this.hosts.filter(([from]) => standsIn(value.text, from))
    if (hosts.length === 0) return []
    const text = this.#connection(hosts.reduce((result, [from, to]) => result.replaceAll(from, to), value.text))
    // A further secret in it, which isn't known to be one: then the value isn't shown at all.
    const known = text.replaceAll(PASSWORD, '')
    return hideSecrets(known) === known ? [{ name, value: quoted(text, PASSWORD), isTelling: true }] : []
  }

  /** User, password and database within a connection string or URL. */
  #connection(text: string): string {
    const secret = text
      .replace(/(\b(?:password|pwd)\s*=\s*)(?:"[^"]*"|'[^']*'|[^;]*)/gi, `$1$${PASSWORD}`)
      .replace(/(\/\/[^\s:/@]*:)[^\s]+(?=@)/g, `$1$${PASSWORD}`)
    return this.#names.reduce(
      (result, [from, to]) =>
        result.replace(
          /(\b(?:database|initial catalog|user id|uid|user|dbname)\s*=\s*)([^;]+)/gi,
          (all, key: string, name: string) => (name.trim() === from ? key + to : all),
        ),
      secret,
    )
  }
}

/** A host's own name or address; not the name that customers use, which goes along. */
const siteOf = (host: Host, world: World): string | undefined =>
  host.site === undefined || host.site.hostname === world.site?.hostname ? undefined : host.site.hostname

/** A text in a playbook: a dollar sign before a brace is doubled, but for the placeholder. */
const quoted = (text: string, placeholder = PASSWORD): string =>
  JSON.stringify(
    text
      .split(placeholder)
      .map((part) => part.replaceAll('${', '$${'))
      .join(placeholder),
  )
