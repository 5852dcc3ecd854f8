import { databaseContract } from '../contract/database.ts'
import { MEMORY_ABILITIES, memoryHost } from '../fakes/memory-shop.ts'

databaseContract('the database in memory', () => memoryHost(), MEMORY_ABILITIES)

const without = { ...MEMORY_ABILITIES, blocks: false, ranges: false, fingerprints: false }
databaseContract(
  'the database in memory with no more than it must have',
  () => memoryHost({ bulk: false, fingerprints: false }),
  without,
)
