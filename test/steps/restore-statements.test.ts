import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { inGroups, type PlannedStatement } from '../../src/databases/plan/statements.ts'
import type { Database } from '../../src/databases/port.ts'
import { runStatements } from '../../src/steps/restore-statements.ts'
import { MemoryDatabase } from '../fakes/memory-database.ts'
import { MemoryServer } from '../fakes/memory-server.ts'
import { TestRun } from '../fakes/step-run.ts'

const statement = (name: string, table: string, beside: boolean): PlannedStatement => ({
  name,
  stage: 'after',
  sql: name,
  undo: null,
  table: { schema: '', name: table },
  stale: [],
  ...(beside ? { beside: true } : {}),
})
const key = statement('primary key orders', 'orders', false)
const indexes = ['a', 'b', 'c'].map((name) => statement(`index ${name}`, 'orders', true))

describe('what is built on a large table after its rows', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'migrate-statements-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  /** A database whose statements take until `release`: what is being run at a time can be seen. */
  function slow() {
    const running = new Map<string, PromiseWithResolvers<void>>()
    const log: string[] = []
    let change = Promise.withResolvers<void>()
    const database: Database = Object.assign(new MemoryDatabase(new MemoryServer({})), {
      execute: async (sql: string) => {
        const end = Promise.withResolvers<void>()
        running.set(sql, end)
        log.push(sql)
        change.resolve()
        await end.promise
      },
    })
    /** Resolves when so many are being run. */
    const count = async (wanted: number): Promise<readonly string[]> => {
      while (running.size < wanted) {
        change = Promise.withResolvers<void>()
        await change.promise
      }
      return [...running.keys()]
    }
    /** How a statement ends. */
    const take = (sql: string): PromiseWithResolvers<void> | undefined => {
      const end = running.get(sql)
      running.delete(sql)
      return end
    }
    return {
      database,
      log,
      count,
      end: (sql: string) => take(sql)?.resolve(),
      fail: (sql: string, error: Error) => take(sql)?.reject(error),
    }
  }
  const start = (database: Database, connections: number): Promise<void> =>
    runStatements({ run: new TestRun(folder), database, statements: [key, ...indexes], connections, bytesOf: () => 2 ** 30 })

  it('is planned with the indexes in one change, so that they may be built side by side', () => {
    expect(inGroups([key, ...indexes])).toEqual([[key], indexes])
    expect(inGroups([key, ...indexes.slice(0, 1)])).toEqual([[key], indexes.slice(0, 1)])
  })

  it('is the key by itself, and then as many indexes at a time as there are connections', async () => {
    const { database, log, count, end } = slow()
    const all = start(database, 2)
    expect(await count(1)).toEqual(['primary key orders'])
    end('primary key orders')
    expect(await count(2)).toEqual(['index a', 'index b'])
    end('index b')
    expect(await count(2)).toEqual(['index a', 'index c'])
    end('index a')
    end('index c')
    await all
    expect(log).toHaveLength(4)
  })

  it('begins no further index when one fails, and ends with its error when the others have ended', async () => {
    const { database, log, count, end, fail } = slow()
    const all = start(database, 2)
    await count(1)
    end('primary key orders')
    await count(2)
    fail('index a', new Error('no room'))
    end('index b')
    await expect(all).rejects.toThrow('no room')
    expect(log).not.toContain('index c')
  })
})
