import { type Finding, MigrateError } from '../base/errors.ts'
import type { FileHost } from '../files/port.ts'
import type { StepRun } from '../run/step.ts'
import { findingOf } from './database-parts.ts'
import { readConfig, type StandingFile } from './file-change.ts'
import { saying, wrongAmong } from './relay-ask.ts'
import { mustReach, reachFindings } from './relay-reach.ts'
import type { Relay } from './relay-work.ts'
import { namesOf } from './rewrite-config.ts'
import { byFile, type FileItems, rewritten } from './rewrite-config-edit.ts'
import type { RewriteItem } from './rewrite-config-options.ts'
import type { StepContext, World } from './world.ts'

interface Options {
  readonly config: readonly RewriteItem[]
  readonly database: string | undefined
  readonly paths: readonly string[]
}

/**
 * The old site writes to the new database from now on. What it wrote to the old one before is carried by reconcile afterwards:
 * identities on the new host were raised before, so the two never gave the same number.
 */
export function connectionRelay({ config, database, paths }: Options, { world }: StepContext): Relay {
  const items = byFile(config)
  return {
    title: 'Point the old site at the new database',
    what: `point the old site at the new database: ${items.map(described).join('; ')}; orders that it wrote to the old one until then are carried by reconcile`,
    check: async (host, run, isBegun) => {
      const findings = await Promise.all([
        ...items.map((item) => checkItem(item, host, run, isBegun)),
        reachFindings(world, database, run),
        checkSite(paths, world, run),
      ])
      return findings.flat()
    },
    files: async (host, isBegun) =>
      items.map((item) => ({ file: item.file, content: (standing) => edited(item, standing, host, isBegun) })),
    before: (run) => mustReach(world, database, run),
    wrong: (run) => wrongAmong(paths, world, failing, run),
    hint: 'Look at the old site’s error log: the new database must take connections from the old host’s address, with the user and the encryption that its config says.',
  }
}

const failing: Parameters<typeof wrongAmong>[2] = (answer, path) =>
  answer.status < 500 ? undefined : `answers ${path} with status ${answer.status}${saying(answer)}`

function described(item: FileItems): string {
  const { settings, texts } = namesOf(item)
  const counted = texts === 0 ? [] : [texts === 1 ? 'a text' : `${texts} texts`]
  return `${item.file} (${[...settings, ...counted].join(', ')})`
}

function edited(item: FileItems, standing: StandingFile | null, host: FileHost, isBegun: boolean): Buffer {
  if (standing !== null) return rewritten(item, standing.bytes, host.label, isBegun)
  throw new MigrateError('file-missing', `${item.file}, which is to be changed, is not there on ${host.label}.`, {
    hint: 'Correct the path in the playbook: it is relative to the old site’s folder.',
  })
}

async function checkItem(item: FileItems, host: FileHost, run: StepRun, isBegun: boolean): Promise<readonly Finding[]> {
  try {
    const { bytes } = await readConfig(host, item.file, run)
    rewritten(item, bytes, host.label, isBegun)
    return []
  } catch (error) {
    if (error instanceof MigrateError) return [findingOf(error)]
    throw error
  }
}

/** A page that fails already can't tell afterwards whether the change did harm. */
async function checkSite(paths: readonly string[], world: World, run: StepRun): Promise<readonly Finding[]> {
  const wrong = await wrongAmong(paths, world, failing, run)
  if (wrong === undefined) return []
  return [
    {
      severity: 'warning',
      code: 'relay-site-failing',
      message: `${wrong} If it still does when its config is changed, the change is taken back.`,
      hint: 'Name pages in paths: that answer, one that reads the database among them.',
    },
  ]
}
