import { bumpIdentitiesKind } from './bump-identities.ts'
import { restoreDatabaseKind } from './restore-database.ts'
import { snapshotDatabaseKind } from './snapshot-database.ts'
import { sqlKind } from './sql.ts'
import type { StepKind } from './world.ts'

/** The kinds of step that a playbook may name, in the order in which a migration uses them. */
export const stepKinds: readonly StepKind[] = [snapshotDatabaseKind, restoreDatabaseKind, bumpIdentitiesKind, sqlKind]
