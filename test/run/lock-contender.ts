import { messageOf } from '../../src/base/errors.ts'
import { acquireLock } from '../../src/run/lock.ts'

// A process that tries to take a lock and says how it went; it holds on until its input ends.
const directory = process.argv[2] ?? ''
process.stdin.once('data', () => {
  acquireLock(directory).then(
    (lock) => process.stdout.write(`held ${lock.number}\n`),
    (error: unknown) => process.stdout.write(`refused ${messageOf(error)}\n`),
  )
})
process.stdin.once('end', () => process.exit(0))
process.stdout.write('ready\n')
