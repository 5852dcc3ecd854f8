import { describe, expect, it } from 'vitest'
import type { Database } from '../../src/databases/port.ts'
import type { ScratchPower } from '../../src/databases/scratch-port.ts'

export interface ScratchServer {
  /** As an account that may make databases. */
  open(): Promise<Database>
  /** As one that may not. */
  openPowerless?(): Promise<Database>
  /** A connection that somebody holds to the database of this name. */
  occupy(name: string): Promise<{ end(): Promise<void> }>
}

const powerOf = (database: Database): ScratchPower => {
  if (database.scratch === undefined) throw new Error('The database can make no others.')
  return database.scratch
}

/** What every database that makes others beside it keeps (scratch-port.ts). */
export function databaseScratchContract(name: string, server: ScratchServer): void {
  describe(`${name}: databases for a rehearsal`, () => {
    it('are made, are there, and are dropped, whoever is connected', async () => {
      const database = await server.open()
      const scratch = `Rehearsal of ${name.toLowerCase().replace(/\W/g, '')} ${Date.now().toString(36)}`
      try {
        const power = powerOf(database)
        expect(await power.exists(scratch)).toBe(false)
        await power.create(scratch)
        expect(await power.exists(scratch)).toBe(true)
        await expect(power.create(scratch)).rejects.toBeDefined()
        const somebody = await server.occupy(scratch)
        await power.drop(scratch)
        expect(await power.exists(scratch)).toBe(false)
        await power.drop(scratch)
        await somebody.end()
      } finally {
        await database.close()
      }
    })

    it.skipIf(server.openPowerless === undefined)('are refused to an account that may not make them', async () => {
      const database = await server.openPowerless?.()
      try {
        await expect(database?.scratch?.create('rehearsal_refused')).rejects.toMatchObject({ code: 'database-permission-denied' })
      } finally {
        await database?.close()
      }
    })
  })
}
