import type { Step } from '../../src/run/step.ts'
import { restoreDatabaseKind } from '../../src/steps/restore-database.ts'
import { snapshotDatabaseKind } from '../../src/steps/snapshot-database.ts'
import type { World } from '../../src/steps/world.ts'
import { testContext } from '../fakes/step-run.ts'

/** The steps that move a database by a method, as another process makes them; options as the playbook gives them. */
export function nativeSteps(
  world: World,
  snapshotOptions: unknown = { method: 'native' },
  restoreOptions: unknown = undefined,
  playbookDirectory = '/',
): { readonly snapshot: Step; readonly restore: Step } {
  const snapshot = snapshotDatabaseKind.create(
    snapshotDatabaseKind.options.parse(snapshotOptions),
    testContext(world, 'snapshot-database', playbookDirectory),
  )
  const restore = restoreDatabaseKind.create(restoreDatabaseKind.options.parse(restoreOptions), {
    ...testContext(world, 'restore-database', playbookDirectory),
    others: () => [snapshot],
  })
  return { snapshot, restore }
}
