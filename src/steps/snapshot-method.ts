import { basename } from 'node:path'
import { z } from 'zod'
import { type Finding, MigrateError } from '../base/errors.ts'
import { formatBytes } from '../base/units.ts'
import type { NativeMeans, NativeWishes } from '../databases/native-port.ts'
import type { Database } from '../databases/port.ts'
import { databaseOf } from './database-parts.ts'
import type { World } from './world.ts'

/** Where a server writes or reads a backup itself. */
export const backupSchema = z
  .strictObject({
    path: z
      .string()
      .min(1)
      .optional()
      .describe('The backup as the database server names it, on its own disk: D:\\backup\\shop.bak'),
    file: z.string().min(1).optional().describe("The same file as the host's files name it: backup/shop.bak"),
    url: z.url().optional().describe('Or a URL that both servers reach, such as a blob in Azure Storage'),
  })
  .refine(({ path, file, url }) => (url === undefined ? path !== undefined && file !== undefined : path === undefined), {
    error: 'give either url, or path and file',
  })
export type Backup = z.infer<typeof backupSchema>

export const methodShape = {
  method: z
    .enum(['auto', 'native', 'portable', 'command'])
    .default('auto')
    .describe(
      "How: portable reads rows through the driver; native uses the engine's own tools; command runs yours; auto chooses",
    ),
  command: z
    .string()
    .min(1)
    .optional()
    .describe('For method command: saves the database into the folder $MIGRATE_SNAPSHOT, from $MIGRATE_HOST, $MIGRATE_PORT …'),
  from: z
    .string()
    .min(1)
    .optional()
    .describe(
      "A backup that is there already, such as one that the host's control panel made: a file here, or among the old host's files",
    ),
  backup: backupSchema.optional().describe('For method native where the server itself writes the backup'),
}

export interface MethodOptions {
  readonly method: 'auto' | 'native' | 'portable' | 'command'
  readonly command?: string | undefined
  readonly from?: string | undefined
  readonly backup?: Backup | undefined
}

/** What is wrong with these options together; `undefined` when nothing is. */
export function methodMistake({ method, command, from, backup }: MethodOptions): string | undefined {
  if (method === 'command' && command === undefined) return 'method command needs a command'
  if (method !== 'command' && command !== undefined) return 'a command needs method: command'
  if (from !== undefined && (method === 'portable' || method === 'command')) return `from and method ${method} exclude each other`
  if (backup !== undefined && method !== 'native') return 'backup needs method: native'
  return undefined
}

/** How the snapshot is taken, and why. */
export interface Decision {
  readonly method: 'portable' | 'native' | 'command'
  readonly reason: string
  readonly tool: string
  readonly format: string
  /** False when the playbook asks for what can't be done; the reason says what is missing. */
  readonly possible: boolean
  readonly findings: readonly Finding[]
}

/** The method that the options name; what `auto` means doesn't hang on what is installed, so that a resume does as the run began. */
export const methodOf = ({ method, from }: MethodOptions): Decision['method'] =>
  method === 'auto' ? (from === undefined ? 'portable' : 'native') : method

export const wishesOf = ({ from, backup }: Pick<MethodOptions, 'from' | 'backup'>): NativeWishes => ({
  ...(from === undefined ? {} : { from: basename(from.replaceAll('\\', '/')) }),
  ...serverOf(backup),
})

export const serverOf = (backup: Backup | undefined): Pick<NativeWishes, 'server'> => {
  if (backup?.url !== undefined) return { server: { url: backup.url } }
  return backup?.path === undefined ? {} : { server: { path: backup.path } }
}

/** Asks the tools and both servers. Read-only. */
export async function decide(options: MethodOptions, world: World): Promise<Decision> {
  const method = methodOf(options)
  if (method === 'command')
    return { method, reason: 'the playbook gives a command', tool: 'command', format: 'command', possible: true, findings: [] }
  const old = databaseOf(world.old)
  if (method === 'portable') return portable(options, old, world.new.database)
  const { means, lacking } = await nativeMeans(old, world.new.database, wishesOf(options))
  if (lacking !== undefined) return { method, reason: lacking, tool: '', format: '', possible: false, findings: [] }
  const why = options.from === undefined ? means.reason : `${options.from} is there already; ${means.reason}`
  return { method, reason: why, tool: means.tool ?? '', format: means.format ?? '', possible: true, findings: means.findings }
}

async function portable(options: MethodOptions, old: Database, target: Database | undefined): Promise<Decision> {
  const decision = { method: 'portable', tool: 'driver', format: 'portable', possible: true, findings: [] } as const
  if (options.method === 'portable') return { ...decision, reason: 'the playbook says so' }
  const virtues = 'it resumes where it stopped, can be throttled and needs no tools'
  if (old.native === undefined) return { ...decision, reason: virtues }
  const { means, lacking } = await nativeMeans(old, target, {}).catch(couldNotAsk)
  if (lacking !== undefined) return { ...decision, reason: lacking }
  const size = (await old.info()).sizeBytes
  return {
    ...decision,
    reason: `${virtues}; method: native would do too${size === null ? '' : ` for its ${formatBytes(size)}`} (${means.tool})`,
  }
}

/** Nothing hangs on it: that native couldn't be asked for is only told. */
function couldNotAsk(error: unknown): { readonly means: NativeMeans; readonly lacking: string } {
  if (!(error instanceof MigrateError)) throw error
  return { means: NOTHING, lacking: `what native could do couldn't be asked (${error.message})` }
}

const NOTHING: NativeMeans = {
  tool: null,
  format: null,
  reason: 'the engine has no tools of its own that migrate knows',
  findings: [],
}

/** What saves and what restores must both be there, for one format. `lacking` says in words what isn't. */
async function nativeMeans(
  old: Database,
  target: Database | undefined,
  wishes: NativeWishes,
): Promise<{ readonly means: NativeMeans; readonly lacking: string | undefined }> {
  const means = (await old.native?.tools('save', wishes)) ?? NOTHING
  if (means.tool === null || means.format === null) return { means, lacking: means.reason }
  // Where the new server finds a backup that a server made is for restore-database to say, and to check.
  if (target?.native === undefined || wishes.server !== undefined || wishes.from !== undefined)
    return { means, lacking: undefined }
  const back = await target.native.tools('restore', { format: means.format, savedBy: means.tool })
  return { means, lacking: back.tool === null ? back.reason : undefined }
}

/** The decision as a line of `check`; none where there was nothing to choose from. */
export function decisionFindings({ method, reason, possible, findings }: Decision, isChoice: boolean): readonly Finding[] {
  if (!isChoice) return []
  if (possible)
    return [
      { severity: 'info', code: 'snapshot-method', message: `The database is saved by the method ${method}: ${reason}.` },
      ...findings,
    ]
  return [
    {
      severity: 'error',
      code: 'native-not-possible',
      message: `The playbook asks for a native snapshot, which isn't possible: ${reason}.`,
      hint: 'Bring in what is missing, or say method: portable, which needs none of it.',
    },
  ]
}
