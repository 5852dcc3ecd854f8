import { describe, expect, it } from 'vitest'
import { catalogColumns } from '../../src/databases/mssql/catalog.ts'
import { introspect, introspectTables } from '../../src/databases/mssql/introspect.ts'
import { readModules } from '../../src/databases/mssql/introspect-modules.ts'
import { type Loading, loadTogether } from '../../src/databases/mssql/loads.ts'
import { readerOn } from '../../src/databases/mssql/read.ts'
import type { Session } from '../../src/databases/mssql/session.ts'
import { Untriggered } from '../../src/databases/mssql/triggers.ts'
import type { Database, Reader } from '../../src/databases/port.ts'
import type { Table } from '../../src/databases/schema.ts'
import { countRows } from '../../src/steps/restore-work.ts'
import { type Answer, answered } from './mssql-answers.ts'
import { lines, orders } from './mssql-tables.ts'

const COLUMNS = /FROM sys\.all_columns/

describe('SQL Server is asked', () => {
  it('for the rows of a table once, and sends none of them; where it gives no number, that is told', async () => {
    const { session, asked } = answered([/COUNT_BIG/, [{ rows: '10000000000' }]])
    const read = <T>(_: number, work: (readers: readonly [Reader]) => Promise<T>): Promise<T> => work([readerOn(session, false)])
    const database: Pick<Database, 'read'> = { read }
    expect(await countRows(database, orders, new AbortController().signal)).toBe(10_000_000_000)
    expect(asked).toEqual(['SELECT CONVERT(nvarchar(20), COUNT_BIG(*)) FROM [dbo].[Orders] AS t'])
    await expect(readerOn(answered().session, false).count?.(orders)).rejects.toThrow('how many rows dbo.Orders has')
  })

  it('which columns its catalog has once for all sessions of a database, and anew for another database', async () => {
    const { session, asked } = answered([COLUMNS, [{ view: 'Tables', column: 'temporal_type' }]])
    expect(await catalogColumns(session)).toEqual(new Set(['tables.temporal_type']))
    await introspect(session)
    expect(asked.filter((sql) => COLUMNS.test(sql))).toHaveLength(1)
    const other = answered([COLUMNS, []])
    expect(await catalogColumns(other.session)).toEqual(new Set())
  })

  it('of its tables alone for what makes them up, and not for all that a database has besides', async () => {
    const whole = answered()
    await introspect(whole.session)
    const few = answered()
    await introspectTables(few.session)
    expect(few.asked.length).toBeLessThan(whole.asked.length / 3)
    expect(
      few.asked.filter((sql) => /sys\.(?:sql_modules|database_principals|extended_properties|all_columns)/.test(sql)),
    ).toEqual([])
  })

  it('for the texts of its code by themselves, which are put together with names and triggers here', async () => {
    const { session, asked } = answered(
      [
        /^SELECT o\.object_id AS \[id\], RTRIM/,
        [
          { id: 7, type: 'TR', schema: 'dbo', name: 'mail' },
          { id: 5, type: 'V', schema: 'dbo', name: 'Open' },
          { id: 6, type: 'TR', schema: 'dbo', name: 'ours' },
          { id: 9, type: 'P', schema: 'dbo', name: 'made_meanwhile' },
          { id: 8, type: 'P', schema: 'dbo', name: 'locked' },
          { id: 10, type: 'P', schema: 'dbo', name: 'without a text' },
        ],
      ],
      [
        /FROM sys\.sql_modules m/,
        [
          { id: 4, definition: 'CREATE PROCEDURE sp_upgraddiagrams AS', ansiNulls: true, quotedIdentifier: true },
          { id: 5, definition: 'CREATE VIEW [Open] AS', ansiNulls: false, quotedIdentifier: true },
          { id: 6, definition: 'CREATE TRIGGER ours', ansiNulls: true, quotedIdentifier: true },
          { id: 7, definition: 'CREATE TRIGGER mail', ansiNulls: true, quotedIdentifier: false },
          { id: 8, definition: null, ansiNulls: true, quotedIdentifier: true },
          { id: 10, definition: '', ansiNulls: true, quotedIdentifier: true },
        ],
      ],
      [
        /FROM sys\.triggers tr JOIN sys\.objects p/,
        [
          { id: 6, schema: 'dbo', name: 'migrate_marks', disabled: false },
          { id: 7, schema: 'dbo', name: 'Orders', disabled: true },
        ],
      ],
    )
    expect(await readModules(session, () => false)).toEqual({
      modules: [
        {
          id: 7,
          kind: 'trigger',
          name: { schema: 'dbo', name: 'mail' },
          definition: 'CREATE TRIGGER mail',
          ansiNulls: true,
          quotedIdentifier: false,
          on: { schema: 'dbo', name: 'Orders' },
          disabled: true,
          order: [],
        },
        {
          id: 5,
          kind: 'view',
          name: { schema: 'dbo', name: 'Open' },
          definition: 'CREATE VIEW [Open] AS',
          ansiNulls: false,
          quotedIdentifier: true,
          on: null,
          disabled: false,
          order: [],
        },
      ],
      hidden: [
        { kind: 'procedure', name: 'dbo.locked' },
        { kind: 'procedure', name: 'dbo.without a text' },
      ],
    })
    expect(asked.filter((sql) => /sql_modules/.test(sql) && /\bJOIN\b/.test(sql))).toEqual([])
  })

  it('for the triggers of a table once for all parts that are loaded, and again when a statement may have made one', async () => {
    const known: Loading = { taken: true, untriggered: new Untriggered() }
    const { session, asked } = answered(...MARKED)
    let seen = 0
    const triggers = (): number => {
      const since = asked.slice(seen)
      seen = asked.length
      return since.filter((sql) => sql.includes('sys.triggers')).length
    }
    await loadOne(session, orders, known)
    expect(triggers()).toBe(1)
    await loadOne(session, orders, known)
    expect(triggers()).toBe(0)
    await loadOne(session, lines, known)
    expect(triggers()).toBe(1)
    await known.untriggered.forgetting(async () => undefined)
    await loadOne(session, orders, known)
    expect(triggers()).toBe(1)
    // One that a statement makes while the question is under way, too.
    await known.untriggered.forgetting(() => loadOne(session, lines, known))
    await loadOne(session, lines, known)
    expect(triggers()).toBe(2)
  })

  it('of a table with triggers each time, which are off while a part is loaded', async () => {
    const known: Loading = { taken: true, untriggered: new Untriggered() }
    const { session, asked } = answered(...MARKED, [/sys\.triggers/, [{ place: 0, schema: 'dbo', name: 'mail' }]])
    for (let part = 0; part < 2; part += 1) await loadOne(session, orders, known)
    expect(asked.filter((sql) => /^(?:DIS|EN)ABLE TRIGGER/.test(sql))).toEqual([
      'DISABLE TRIGGER [dbo].[mail] ON [dbo].[Orders];',
      'ENABLE TRIGGER [dbo].[mail] ON [dbo].[Orders];',
      'DISABLE TRIGGER [dbo].[mail] ON [dbo].[Orders];',
      'ENABLE TRIGGER [dbo].[mail] ON [dbo].[Orders];',
    ])
  })
})

/** The marks' table stands, and a mark wasn't there before. */
const MARKED: readonly Answer[] = [
  [/OBJECT_ID\(QUOTENAME\(SCHEMA_NAME/, [{ schema: 'dbo', id: 1 }]],
  [/OUTPUT inserted\.name/, [{ name: 'part' }]],
]

async function loadOne(session: Session, table: Table, known: Loading): Promise<void> {
  await loadTogether(session, [{ table, blocks: NO_BLOCKS, mark: { run: 'copy', name: 'part' } }], known)
}

const NO_BLOCKS: AsyncIterable<Buffer> = {
  [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }),
}
