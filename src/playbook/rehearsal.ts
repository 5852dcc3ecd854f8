import type { FilesSettings, Playbook } from './model.ts'

/** Kinds of step that a rehearsal does for real; all others concern customers, DNS or the old shop. */
const REHEARSED: ReadonlySet<string> = new Set([
  'check',
  'snapshot-files',
  'snapshot-database',
  'restore-files',
  'restore-database',
  'bump-identities',
  'rewrite-config',
])

/** Names of what a rehearsal makes for itself on the new host. */
export interface ScratchNames {
  /** Of the database. */
  readonly database: string
  /** Of the folder below the new host's folder. */
  readonly folder: string
}

export interface Rehearsal {
  readonly playbook: Playbook
  /** True when the database is one that the rehearsal makes and drops. */
  readonly makesDatabase: boolean
  readonly makesFolder: boolean
  /** Ids of the playbook's steps that are left out. */
  readonly leftOut: readonly string[]
}

const LONGEST_OWN_PART = 40

/** `shop` → `shop_rehearsal_4f2a9c`: nobody else's name, and short enough for every server. */
export const scratchNames = (database: string | undefined, mark: string): ScratchNames => ({
  database: `${(database ?? 'shop').slice(0, LONGEST_OWN_PART)}_rehearsal_${mark}`,
  folder: `.migrate-rehearsal-${mark}`,
})

/**
 * The playbook as a rehearsal runs it: everything that goes to the new host goes to the rehearsal's own database and folder there, and
 * nothing is done that customers could notice. Pages are compared only where `rehearsal.site` says under which address the rehearsal's
 * folder is served.
 */
export function rehearsalOf(playbook: Playbook, names: ScratchNames): Rehearsal {
  const { rehearsal } = playbook
  const { files, database } = playbook.new
  const isRehearsed = (kind: string): boolean =>
    REHEARSED.has(kind) || (kind === 'smoke-test' && rehearsal?.site !== undefined && playbook.site !== undefined)
  const steps = playbook.steps
    .map((group) => group.filter((step) => isRehearsed(step.kind.name)))
    .filter((group) => group.length > 0)
  return {
    playbook: {
      ...playbook,
      new: {
        files: rehearsal?.files ?? (files && below(files, names.folder)),
        database: rehearsal?.database ?? (database && { ...database, database: names.database }),
        logs: [],
        site: rehearsal?.site,
        connections: playbook.new.connections,
      },
      dns: undefined,
      mail: undefined,
      notify: [],
      steps,
    },
    makesDatabase: database !== undefined && rehearsal?.database === undefined,
    makesFolder: files !== undefined && rehearsal?.files === undefined,
    leftOut: playbook.steps.flat().flatMap((step) => (isRehearsed(step.kind.name) ? [] : [step.id])),
  }
}

const below = (files: FilesSettings, folder: string): FilesSettings => ({
  ...files,
  root: `${files.root.replace(/\/$/, '')}/${folder}`,
})
