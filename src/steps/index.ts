import { bumpIdentitiesKind } from './bump-identities.ts'
import { cutoverDnsKind } from './cutover-dns.ts'
import { lowerTtlKind } from './lower-ttl.ts'
import { restoreDatabaseKind } from './restore-database.ts'
import { smokeTestKind } from './smoke-test.ts'
import { snapshotDatabaseKind } from './snapshot-database.ts'
import { sqlKind } from './sql.ts'
import { watchPropagationKind } from './watch-propagation.ts'
import type { StepKind } from './world.ts'

/** The kinds of step that a playbook may name, in the order in which a migration uses them. */
export const stepKinds: readonly StepKind[] = [
  snapshotDatabaseKind,
  restoreDatabaseKind,
  bumpIdentitiesKind,
  sqlKind,
  lowerTtlKind,
  smokeTestKind,
  cutoverDnsKind,
  watchPropagationKind,
]
