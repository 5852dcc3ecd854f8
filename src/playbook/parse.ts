import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { readDns } from './dns.ts'
import { readDocument } from './document.ts'
import { readHost, readSite } from './hosts.ts'
import { checked, isMapping } from './issues.ts'
import { readMail } from './mail.ts'
import type { HostSettings, Playbook } from './model.ts'
import { readNotify } from './notify.ts'
import { PlaybookError } from './problems.ts'
import type { Reading } from './reading.ts'
import { nameSchema, rootShape } from './schema.ts'
import type { Value } from './source.ts'
import { readSteps } from './steps.ts'
import { readReferences, readTables } from './tables.ts'
import { readText } from './text.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads a playbook and checks all that can be checked without asking a host.
 * Throws PlaybookError with everything that is wrong, each with line and column; `playbook-missing`, `playbook-unreadable` or
 * `playbook-too-large` when there is no text to look at. All end as `usage`.
 */
export async function loadPlaybook(path: string, env: Environment): Promise<Playbook> {
  return parsePlaybook(await readText(path), path, env)
}

/** The same for a text; `file` is its path for messages, and its folder is where relative paths begin. */
export function parsePlaybook(text: string, file: string, env: Environment): Playbook {
  const directory = dirname(resolve(file))
  const { source, value, raw, redactor } = readDocument(text, { env, directory })
  const playbook = value === undefined ? undefined : readRoot(value, raw, { source, redactor, directory, env }, file)
  if (playbook === undefined || source.problems.length > 0) {
    const safe = source.problems.map((each) => ({
      ...each,
      message: redactor.redact(each.message),
      hint: redactor.redact(each.hint),
    }))
    throw new PlaybookError(file, safe)
  }
  return playbook
}

const looseRoot = z.strictObject(
  Object.fromEntries([...Object.keys(rootShape), 'steps'].map((key) => [key, z.unknown().optional()])),
)

function readRoot(value: Value, raw: Value, reading: Reading, file: string): Playbook | undefined {
  const { source } = reading
  if (!isMapping(value)) {
    source.complain(
      [],
      value === null ? 'The playbook is empty.' : 'A playbook is a mapping.',
      'Begin with  name: my-shop  and see the examples in playbooks/.',
    )
    return undefined
  }
  checked(looseRoot, value, [], source)
  const name = checked(nameSchema, value.name, ['name'], source)
  const [old, destination] = [readSide('old', value, reading), readSide('new', value, reading)]
  const site = value.site === undefined ? undefined : checked(rootShape.site, value.site, ['site'], source)
  const isGiven = (key: string): boolean => Object.hasOwn(value, key)
  const playbook = {
    file,
    directory: reading.directory,
    old,
    new: destination,
    rehearsal: isGiven('rehearsal') ? readHost(value.rehearsal ?? {}, ['rehearsal'], reading) : undefined,
    site: site === undefined ? undefined : readSite(site, ['site'], source),
    dns: isGiven('dns') ? readDns(value.dns ?? null, ['dns'], reading) : undefined,
    mail: isGiven('mail') ? readMail(value.mail ?? null, ['mail'], source) : undefined,
    notify: isGiven('notify') ? readNotify(value.notify ?? null, ['notify'], reading) : [],
    tables: isGiven('tables') ? readTables(value.tables ?? null, ['tables'], source) : new Map(),
    references: isGiven('references') ? readReferences(value.references ?? null, ['references'], source) : [],
    noReferences: isGiven('no-references') ? readReferences(value['no-references'] ?? null, ['no-references'], source) : [],
    steps: readSteps(value.steps, isMapping(raw) ? (raw.steps ?? null) : null, ['steps'], source),
    redactor: reading.redactor,
    position: source.position.bind(source),
  }
  return name === undefined ? undefined : { ...playbook, name }
}

function readSide(side: 'old' | 'new', value: { readonly [key: string]: Value }, reading: Reading): HostSettings {
  const given = value[side]
  if (given === undefined)
    reading.source.complain([side], `${side} is missing.`, `Add  ${side}:  with files:, database: and site:.`)
  return readHost(given === undefined ? {} : given, [side], reading)
}
