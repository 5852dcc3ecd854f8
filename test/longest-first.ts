import { relative } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * Files that take longest, longest first: one begun last leaves the other processor idle till its end. Vitest knows by itself only what it has
 * measured on this machine; without that it goes by the files' sizes, which say little. Each stands for all files whose path begins so.
 */
export const LONGEST: readonly string[] = [
  'test/e2e/killed.test.ts',
  'test/reconcile/postgres.test.ts',
  'test/reconcile/mysql.test.ts',
  'test/files/ftp.test.ts',
  'test/files/bad-lines.test.ts',
  'test/reconcile/model/',
  'test/packaging.test.ts',
  'test/simulation/whole-run.test.ts',
  'test/e2e/',
  'test/databases/postgres.test.ts',
  'test/databases/mysql.test.ts',
  'test/databases/mssql.test.ts',
  'test/demo/demo.test.ts',
  'test/steps/leapfrog-',
  'test/cli/follow.test.ts',
  'test/files/contract.test.ts',
  'test/steps/native-postgres.test.ts',
  'test/steps/restore-database-',
  'test/cli/lookup.test.ts',
  'test/reconcile/memory.test.ts',
  'test/cli/resolve.test.ts',
  'test/databases/postgres-prints.test.ts',
  'test/files/iis.test.ts',
  'test/reconcile/follow-',
  'test/simulation/',
  'test/files/many-changed.test.ts',
  'test/cli/',
  'test/databases/postgres-partitions.test.ts',
  'test/steps/database-kind.test.ts',
  'test/files/steps.test.ts',
]

/** Begins with the files of that list, and goes on with the others as vitest does. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((start) => relative(this.ctx.config.root, moduleId).startsWith(start))
      return at === -1 ? LONGEST.length : at
    }
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}
