import { execFileSync } from 'node:child_process'
import { createHash, randomInt } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { codeOf } from '../../src/base/errors.ts'
import { type PostgresServer, type PostgresServerOptions, startPostgres } from '../../src/demo/postgres-server.ts'

/** Where the tests of one run share what `initdb` made. */
const SHARED = 'MIGRATE_TEST_POSTGRES_COPIES'

/** Vitest's global set-up: a folder for the run, and away with it afterwards. */
export default function setup(): () => void {
  const shared = mkdtempSync(join(tmpdir(), 'migrate-postgres-copies-'))
  // The server's account, which isn't root, works in it.
  chmodSync(shared, 0o755)
  process.env[SHARED] = shared
  return () => rmSync(shared, { recursive: true, force: true })
}

/**
 * As startPostgres, over a copy of a cluster that the first test of the run made: `initdb` takes two seconds of both processors, a
 * copy a tenth of one. For installed programs alone; those of the npm package would have to be copied along.
 */
export async function startCopiedPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const shared = process.env[SHARED]
  if (shared === undefined || options.binaries === undefined || existsSync(join(options.directory, 'data')))
    return await startPostgres(options)
  const original = await originalIn(shared, options.binaries)
  mkdirSync(options.directory, { recursive: true })
  execFileSync('cp', ['-a', `${original}/.`, options.directory])
  // A copied cluster has the number of its original; databases get other numbers in each, so that no two are taken for one.
  const data = join(options.directory, 'data')
  const { uid, gid } = statSync(data)
  execFileSync(join(options.binaries, 'pg_resetwal'), ['-o', String(randomInt(20_000, 2 ** 31)), data], {
    ...(userInfo().uid === 0 ? { uid, gid } : {}),
    cwd: data,
    stdio: 'pipe',
  })
  return await startPostgres(options)
}

/** One in each worker, for the servers that it starts side by side. */
const originals = new Map<string, Promise<string>>()

function originalIn(shared: string, binaries: string): Promise<string> {
  const known = originals.get(binaries) ?? makeOriginal(shared, binaries)
  originals.set(binaries, known)
  return known
}

async function makeOriginal(shared: string, binaries: string): Promise<string> {
  const original = join(shared, createHash('sha256').update(binaries).digest('hex').slice(0, 12))
  if (existsSync(original)) return original
  const made = `${original}.${process.pid}`
  const server = await startPostgres({ directory: made, host: '127.0.0.1', binaries })
  await server.stop()
  try {
    renameSync(made, original)
  } catch (error) {
    // Another worker was faster.
    if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error
    rmSync(made, { recursive: true, force: true })
  }
  return original
}
