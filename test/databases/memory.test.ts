import { databaseContract } from '../contract/database.ts'
import { MEMORY_ABILITIES, memoryHost } from '../fakes/memory-shop.ts'

databaseContract('the database in memory', () => memoryHost(), MEMORY_ABILITIES)
