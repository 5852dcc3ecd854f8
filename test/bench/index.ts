// `npm run bench`: how fast files and rows are moved, beside tools that people would take instead. For the README's "Speed".
//
//     npm run bench                       everything: three rounds of files, one of databases
//     npm run bench -- files              one part
//     npm run bench -- many-files         a million of them (or --files so many), over hosts that cost nothing: time and memory of ours alone
//     npm run bench -- files --sets small,large,one,ftps --delays 0,30,100 --files 20000 --tools rclone,rsync
//     npm run bench -- files --sets large --delays 30 --mbit 500   over lines that carry so much
//     npm run bench -- databases mssql    one engine: postgres, mysql or mssql (on MIGRATE_TEST_MSSQL)
//     npm run bench -- databases --rows 1000000 --tables 100 --rounds 3 --sets narrow,wide,tables --no-baseline
//     npm run bench -- reconcile          two hosts compared and made alike: mysql, or: reconcile postgres
//     npm run bench -- reconcile --strays 0,1393 --tools checksum --patience 4 --no-buying
//     npm run bench -- --quick            small amounts, one round: whether it works, not how fast
import './small-young.ts'
import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { formatBytes } from '../../src/base/units.ts'

const ENGINES = ['postgres', 'mysql', 'mssql']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    quick: { type: 'boolean', default: false },
    rows: { type: 'string' },
    tables: { type: 'string' },
    rounds: { type: 'string' },
    sets: { type: 'string' },
    baseline: { type: 'boolean', default: true },
    delays: { type: 'string' },
    mbit: { type: 'string' },
    tools: { type: 'string' },
    strays: { type: 'string' },
    patience: { type: 'string' },
    buying: { type: 'boolean', default: true },
    files: { type: 'string' },
    folder: { type: 'string' },
  },
})
const { quick } = values
const numberOf = (text: string | undefined, otherwise: number): number => (text === undefined ? otherwise : Number(text))

// Each brings in only what it needs: what the others do takes 40 MiB, which would be measured as its own.
const PARTS = {
  'many-files': async () =>
    (await import('./many-files.ts')).benchManyFiles({ files: numberOf(values.files, quick ? 20_000 : 1_000_000) }),
  files: async () =>
    (await import('./files/index.ts')).benchFiles({
      quick,
      ...(values.sets === undefined ? {} : { sets: values.sets.split(',') }),
      ...(values.delays === undefined ? {} : { delays: values.delays.split(',').map(Number) }),
      ...(values.mbit === undefined ? {} : { mbit: Number(values.mbit) }),
      ...(values.tools === undefined ? {} : { tools: values.tools.split(',') }),
      ...(values.files === undefined ? {} : { files: Number(values.files) }),
      ...(values.folder === undefined ? {} : { folder: values.folder }),
      rounds: numberOf(values.rounds, 1),
    }),
  database: async () => (await import('./database.ts')).benchDatabase(quick ? { rows: 10_000, rounds: 1 } : {}),
  databases: async () =>
    (await import('./databases/index.ts')).benchDatabases({
      rows: numberOf(values.rows, quick ? 20_000 : 10_000_000),
      tables: numberOf(values.tables, quick ? 20 : 1000),
      rounds: numberOf(values.rounds, 1),
      baseline: values.baseline,
      ...(values.sets === undefined ? {} : { sets: values.sets.split(',') }),
      only: positionals.find((each) => ENGINES.includes(each)),
    }),
  reconcile: async () =>
    (await import('./reconcile/index.ts')).benchReconcile({
      rows: numberOf(values.rows, quick ? 200_000 : 10_000_000),
      rounds: numberOf(values.rounds, 1),
      engine: positionals.find((each) => ENGINES.includes(each)),
      ...(values.strays === undefined ? {} : { strays: values.strays.split(',').map(Number) }),
      ...(values.tools === undefined ? {} : { tools: values.tools.split(',').filter((name) => name !== 'none') }),
      ...(values.patience === undefined ? {} : { patience: Number(values.patience) }),
      buying: values.buying,
    }),
} as const

/** `database` is a short way to measure one table on PostgreSQL; `databases` has all that it shows and more. `reconcile` takes long. */
const USUAL: readonly string[] = ['files', 'databases']

const wanted = positionals.filter((each) => !ENGINES.includes(each))
const unknown = wanted.filter((name) => !Object.hasOwn(PARTS, name))

if (unknown.length > 0) {
  console.error(`There is no bench "${unknown.join(', ')}". The parts are: ${Object.keys(PARTS).join(', ')}.`)
  process.exitCode = 2
} else {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${formatBytes(totalmem())} of memory`
  console.log(`Measured on ${machine}, Node ${process.version}, ${process.platform}.\n`)
  for (const [name, bench] of Object.entries(PARTS)) {
    if (wanted.length === 0 ? USUAL.includes(name) : wanted.includes(name)) await bench()
  }
}
