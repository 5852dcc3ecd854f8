// `npm run bench`: how fast files and rows are moved, beside tools that people would take instead. For the README's "Speed".
//
//     npm run bench                 everything, three rounds
//     npm run bench -- files        one part
//     npm run bench -- --quick      small amounts, one round: whether it works, not how fast
import { cpus, totalmem } from 'node:os'
import { formatBytes } from '../../src/base/units.ts'
import { benchDatabase } from './database.ts'
import { benchFiles } from './files.ts'

const PARTS = {
  files: (quick: boolean) => benchFiles(quick ? { files: 200, large: 2 ** 24, rounds: 1 } : {}),
  database: (quick: boolean) => benchDatabase(quick ? { rows: 10_000, rounds: 1 } : {}),
} as const

const args = process.argv.slice(2)
const quick = args.includes('--quick')
const wanted = args.filter((arg) => arg !== '--quick')
const unknown = wanted.filter((name) => !Object.hasOwn(PARTS, name))

if (unknown.length > 0) {
  console.error(`There is no bench "${unknown.join(', ')}". The parts are: ${Object.keys(PARTS).join(', ')}.`)
  process.exitCode = 2
} else {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${formatBytes(totalmem())} of memory`
  console.log(`Measured on ${machine}, Node ${process.version}, ${process.platform}.\n`)
  for (const [name, bench] of Object.entries(PARTS)) if (wanted.length === 0 || wanted.includes(name)) await bench(quick)
}
