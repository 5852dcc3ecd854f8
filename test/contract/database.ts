import { describe, it } from 'vitest'
import type { DatabaseAbilities, DatabaseHost } from './database-host.ts'

export * from './database-host.ts'

/**
 * The contract of src/databases/port.ts, the same for every adapter and every fake.
 * `setup` is called once, before the first test; `abilities` says what the engine has.
 */
export function databaseContract(name: string, setup: () => Promise<DatabaseHost>, abilities: DatabaseAbilities): void {
  describe(`${name} keeps the database contract`, () => {
    it.todo(`${setup.name} ${Object.keys(abilities).length}`)
  })
}
