import { bumpIdentitiesKind } from './bump-identities.ts'
import { carryFilesKind } from './carry-files.ts'
import { certificateKind } from './certificate.ts'
import { checkKind } from './check.ts'
import { closeOldKind } from './close-old.ts'
import { cutoverDnsKind } from './cutover-dns.ts'
import { guardKind } from './guard.ts'
import { httpKind } from './http.ts'
import { lowerTtlKind } from './lower-ttl.ts'
import { notifyKind } from './notify.ts'
import { pauseKind } from './pause.ts'
import { reconcileKind } from './reconcile.ts'
import { relayKind } from './relay.ts'
import { reportKind } from './report.ts'
import { restoreDatabaseKind } from './restore-database.ts'
import { restoreFilesKind } from './restore-files.ts'
import { rewriteConfigKind } from './rewrite-config.ts'
import { runKind } from './run.ts'
import { smokeTestKind } from './smoke-test.ts'
import { snapshotDatabaseKind } from './snapshot-database.ts'
import { snapshotFilesKind } from './snapshot-files.ts'
import { sqlKind } from './sql.ts'
import { watchPropagationKind } from './watch-propagation.ts'
import type { StepKind } from './world.ts'

/** The kinds of step that a playbook may name, in the order in which a migration uses them. */
export const stepKinds: readonly StepKind[] = [
  checkKind,
  lowerTtlKind,
  snapshotFilesKind,
  snapshotDatabaseKind,
  restoreFilesKind,
  restoreDatabaseKind,
  bumpIdentitiesKind,
  rewriteConfigKind,
  certificateKind,
  smokeTestKind,
  carryFilesKind,
  cutoverDnsKind,
  relayKind,
  watchPropagationKind,
  guardKind,
  closeOldKind,
  reconcileKind,
  reportKind,
  runKind,
  sqlKind,
  httpKind,
  pauseKind,
  notifyKind,
]
