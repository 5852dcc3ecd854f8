import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { codeOf } from '../../src/base/errors.ts'

/** A folder with checkouts of the samples' repositories, each under the name that `SOURCES` gives it. */
const VARIABLE = 'MIGRATE_TEST_SAMPLES'

/** Public sample databases that nobody here wrote: where each comes from, at which commit, and what each file must be (SHA-256). */
const SOURCES = {
  pagila: {
    folder: 'pagila',
    repository: 'devrimgunduz/pagila',
    commit: 'e0e35a666f31a786b9d3c06cb83799fc46db25d4',
    files: {
      'pagila-schema.sql': '8ce358e4c8014087b85296694a0893887bd7a4190e3ce407f2721b86b98e5707',
      'pagila-data.sql': '880580fb2cd4daaa99f290ced264988cdd657b3158be63cd281466f796f6dbf2',
    },
  },
  'sakila-postgres': {
    folder: 'sakila',
    repository: 'jOOQ/sakila',
    commit: 'e089a5b1ec9af0df7a9c6a5d47d49fa1736a4e84',
    files: {
      'postgres-sakila-db/postgres-sakila-schema.sql': 'eaa8cfc2fd358e70617d31ed3638196982944749929f02e90b980457855bfa48',
      'postgres-sakila-db/postgres-sakila-insert-data-using-copy.sql':
        '072e793e9f4f2686b46de8904e1e5ca90c02cbc1873d69ed15401aef610ab52b',
    },
  },
  'sakila-mysql': {
    folder: 'test_db',
    repository: 'datacharmer/test_db',
    commit: '3c7fa05e04b4c339d91a43b7029a210212d48e6c',
    files: {
      'sakila/sakila-mv-schema.sql': '61c30abd47a0126e9e901a911b8a115e1920f0910ce1b11ff3abc764ad65df53',
      'sakila/sakila-mv-data.sql': 'cf9328c055ed43c6862332438670fdad68c6236d051fa090c6bcb56cf5895bc2',
    },
  },
  'chinook-postgres': {
    folder: 'chinook',
    repository: 'lerocha/chinook-database',
    commit: '7f67772503d71ba90f19283c38e93923addb43fa',
    files: {
      'ChinookDatabase/DataSources/Chinook_PostgreSql.sql': 'e3fde5c1a5b51a2a91429a702c9ca6e69ba56e6c7f5e112724d70c3d03db695e',
    },
  },
  'chinook-mysql': {
    folder: 'chinook',
    repository: 'lerocha/chinook-database',
    commit: '7f67772503d71ba90f19283c38e93923addb43fa',
    files: {
      'ChinookDatabase/DataSources/Chinook_MySql.sql': '68768623bac1fe6f92c317235735c706a54a28cc76ab175c194e99f994dadbd6',
    },
  },
  'northwind-postgres': {
    folder: 'northwind_psql',
    repository: 'pthom/northwind_psql',
    commit: 'cd0ef28d66369fbe177778e604e4be0f153c9e5c',
    files: { 'northwind.sql': '0ee30c01ba282f7194f38bf7f99cd6be0470b7ee5f67d0f7ca41fb058d735e0c' },
  },
  'northwind-mssql': {
    folder: 'northwind',
    repository: 'microsoft/sql-server-samples',
    commit: '481085dc95720244a359f1311afd6003e0bcc09c',
    files: {
      'samples/databases/northwind-pubs/instnwnd.sql': '3cc62b3fca6d244a47dbde698b809331e4f85988a0685b2b370717d431e94871',
    },
  },
  'pubs-mssql': {
    folder: 'northwind',
    repository: 'microsoft/sql-server-samples',
    commit: '481085dc95720244a359f1311afd6003e0bcc09c',
    files: {
      'samples/databases/northwind-pubs/instpubs.sql': '8dee7594afc00304c7697b860b7a6008047d3d3cf99dee50ff9cb5c75b1f423a',
    },
  },
  'chinook-mssql': {
    folder: 'chinook',
    repository: 'lerocha/chinook-database',
    commit: '7f67772503d71ba90f19283c38e93923addb43fa',
    files: {
      'ChinookDatabase/DataSources/Chinook_SqlServer.sql': '5ea75c9e925ead917d3fabea6ed3cc8c1ff1d036b61e915c94631aafa2b0802b',
    },
  },
  'sakila-mssql': {
    folder: 'sakila',
    repository: 'jOOQ/sakila',
    commit: 'e089a5b1ec9af0df7a9c6a5d47d49fa1736a4e84',
    files: {
      'sql-server-sakila-db/sql-server-sakila-schema.sql': '994d6f2c71aa7c25a7d661ba59c1d8125fac7fe112724231bfebd1fa4ea7e03b',
      'sql-server-sakila-db/sql-server-sakila-insert-data.sql':
        'dff7b90da9a6a937aa7bbec30f3b53a65bbaeb83b18048f79b979e312b2f5b42',
    },
  },
} as const

export type SampleName = keyof typeof SOURCES

/** Where the network isn't there at all, saying so takes no longer than this. */
const PATIENCE_MS = 20_000

/** In the title of a suite that can't run; .ci/run knows it by the variable's name. */
export const SAMPLES_SKIPPED = ` (skipped: it needs the sample databases: set ${VARIABLE} or allow network access to github.com)`

/**
 * The SQL scripts of a sample, in the order to run them: from the folder that MIGRATE_TEST_SAMPLES names, else fetched once over
 * https into the user's cache. `undefined` when neither can be had. Throws when a file isn't the one that was meant.
 */
export async function sample(name: SampleName): Promise<readonly string[] | undefined> {
  const scripts: string[] = []
  const { folder, repository, commit, files } = SOURCES[name]
  const given = process.env[VARIABLE]
  for (const [path, sha256] of Object.entries(files)) {
    const bytes =
      given === undefined
        ? await cached(
            join(cacheFolder(), folder, commit, path),
            `https://raw.githubusercontent.com/${repository}/${commit}/${path}`,
          )
        : await readIfThere(join(given, folder, path))
    if (bytes === undefined) return undefined
    if (createHash('sha256').update(bytes).digest('hex') !== sha256)
      throw new Error(`${path} of ${repository} isn't the file that the suite was written for: check out commit ${commit}.`)
    scripts.push(bytes.toString('utf8'))
  }
  return scripts
}

const cacheFolder = (): string => join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'live-host-migration-samples')

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

let isOffline = false

/** The cached file, else fetched and kept; `undefined` without network. */
async function cached(path: string, url: string): Promise<Buffer | undefined> {
  const there = await readIfThere(path)
  if (there !== undefined) return there
  if (isOffline) return undefined
  let bytes: Buffer
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) })
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
    bytes = Buffer.from(await answer.arrayBuffer())
  } catch {
    // Behind a proxy or without network: that's what the skip says.
    isOffline = true
    return undefined
  }
  await mkdir(dirname(path), { recursive: true })
  const part = `${path}.${process.pid}`
  await writeFile(part, bytes)
  await rename(part, path)
  return bytes
}
