import type { Clock } from '../../base/clock.ts'
import { type Finding, MigrateError } from '../../base/errors.ts'
import { counted, formatBytes, formatCount } from '../../base/units.ts'
import { buildWorld, type Playbook } from '../../playbook/index.ts'
import type { World } from '../../steps/world.ts'

/** What a look at one part of one host brought. */
export interface Look {
  /** One line for people; `undefined` when it couldn't be looked at. */
  readonly seen?: string
  readonly problems: readonly Finding[]
}

type Side = 'old' | 'new'

/** Logs in and asks; writes nothing. Every failure is a finding, so that a person can mend the answer. */
export async function lookAt(playbook: Playbook, side: Side, part: 'files' | 'database', clock: Clock): Promise<Look> {
  const world = await buildWorld(playbook, { clock })
  try {
    return await (part === 'files' ? files(world, side) : database(world, side))
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error
    return { problems: [{ severity: 'error', code: error.code, message: error.message, hint: error.hint }] }
  } finally {
    await world.close()
  }
}

async function files(world: World, side: Side): Promise<Look> {
  const host = world[side].files
  if (host === undefined) return { problems: [] }
  const problems = await host.check(side === 'old' ? 'read' : 'write')
  if (problems.some(({ severity }) => severity === 'error')) return { problems }
  let [folders, plain, more] = [0, 0, false]
  for await (const { kind } of host.list(undefined, undefined, 'here')) {
    if (kind === 'folder') folders += 1
    else plain += 1
    more = folders + plain >= MOST_LISTED
    if (more) break
  }
  const count = `${counted(folders, 'folder')} and ${counted(plain, 'file')}${more ? ' and more' : ''}`
  return { seen: `${host.label}: ${count} at the top`, problems }
}

const MOST_LISTED = 10_000

async function database(world: World, side: Side): Promise<Look> {
  const host = world[side].database
  if (host === undefined) return { problems: [] }
  const info = await host.info()
  const [sizes, schema] = await Promise.all([host.sizes(), host.schema()])
  const rows = sizes.reduce((sum, each) => sum + each.rows, 0)
  const bytes = info.sizeBytes === null ? '' : `, ${formatBytes(info.sizeBytes)}`
  const content = `${formatCount(schema.tables.length)} tables, about ${formatCount(rows)} rows${bytes}, ${formatCount(schema.identities.length)} numbered columns`
  return { seen: `${host.label} (${info.product}): ${content}`, problems: [] }
}
