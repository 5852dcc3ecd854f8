import { describe } from 'vitest'
import { blockContract } from './database-blocks.ts'
import { faultContract } from './database-faults.ts'
import { findingContract } from './database-finding.ts'
import type { DatabaseAbilities, DatabaseHost } from './database-host.ts'
import { identityContract } from './database-identities.ts'
import { contractOf } from './database-kit.ts'
import { lookupContract } from './database-lookups.ts'
import { printContract } from './database-prints.ts'
import { readingContract } from './database-reading.ts'
import { schemaContract } from './database-schema.ts'
import { stoppingContract } from './database-stopping.ts'
import { sumContract } from './database-sums.ts'
import { transactionContract } from './database-transactions.ts'
import { writingContract } from './database-writing.ts'

export * from './database-host.ts'

/**
 * The contract of src/databases/port.ts, the same for every adapter and every fake.
 * `setup` is called once, before the first test; `abilities` says what the engine has.
 */
export function databaseContract(name: string, setup: () => Promise<DatabaseHost>, abilities: DatabaseAbilities): void {
  describe(`${name} keeps the database contract`, () => {
    const contract = contractOf(setup, abilities)
    schemaContract(contract)
    readingContract(contract)
    blockContract(contract)
    writingContract(contract)
    transactionContract(contract)
    findingContract(contract)
    printContract(contract)
    sumContract(contract)
    lookupContract(contract)
    identityContract(contract)
    faultContract(contract)
    stoppingContract(contract)
  })
}
