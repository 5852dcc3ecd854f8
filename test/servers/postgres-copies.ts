import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { type PostgresServer, type PostgresServerOptions, startPostgres } from '../../src/demo/postgres-server.ts'
import { copyOf } from './copies.ts'

/**
 * As startPostgres, over a copy of a cluster that the first test of the run made. For installed programs alone; those of the npm
 * package would have to be copied along, and can't number a copy anew.
 */
export async function startCopiedPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const { binaries } = options
  const data = join(options.directory, 'data')
  if (binaries === undefined || !existsSync(join(binaries, 'pg_resetwal')) || existsSync(data))
    return await startPostgres(options)
  await copyOf(`postgres ${binaries}`, options.directory, async (directory) => {
    const server = await startPostgres({ directory, host: '127.0.0.1', binaries })
    await server.stop()
  })
  // A copied cluster has the number of its original; databases get other numbers in each, so that no two are taken for one.
  const { uid, gid } = statSync(data)
  execFileSync(join(binaries, 'pg_resetwal'), ['-o', String(randomInt(20_000, 2 ** 31)), data], {
    ...(userInfo().uid === 0 ? { uid, gid } : {}),
    cwd: data,
    stdio: 'pipe',
  })
  return await startPostgres(options)
}
