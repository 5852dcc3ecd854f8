import { describe, expect, it } from 'vitest'
import { consequences } from '../../src/databases/mssql/consequences.ts'
import { roomFacts } from '../../src/databases/mssql/room.ts'
import { rowversionFindings } from '../../src/databases/mssql/rowversions.ts'
import { serverInfo } from '../../src/databases/mssql/server-info.ts'
import type { ServerInfo } from '../../src/databases/port.ts'
import { failureOf } from '../contract/database-kit.ts'
import { answered } from './mssql-answers.ts'
import { column } from './mssql-tables.ts'

const GIB = 2 ** 30
const PAGES = GIB / 8192

const server = (facts: Readonly<Record<string, string>>, version: readonly number[] = [16, 0, 4100, 1]): ServerInfo => ({
  engine: 'mssql',
  product: 'Microsoft SQL Server 2022',
  version,
  database: 'shop',
  user: 'shop',
  collation: 'Latin1_General_CI_AS',
  fingerprint: 'f',
  sizeBytes: 40 * GIB,
  facts: { engineEdition: '2', edition: 'Standard Edition', ...facts },
})
const found = (source: ServerInfo, target: ServerInfo) =>
  consequences(source, target).map(({ severity, code }) => `${severity} ${code}`)
const gib = (count: number): string => String(count * GIB)

describe('the room that a new host gives', () => {
  const facts = (
    files: readonly { readonly type: number; readonly size: number; readonly most: number; readonly growth?: number }[],
    most: string | null = null,
  ) =>
    roomFacts(
      answered(
        [/DATABASEPROPERTYEX/, [{ most, recovery: 'FULL', schema: 'shopper', units: -104 }]],
        [
          /sys\.database_files/,
          files.map((file) => ({
            type: file.type,
            size: String(file.size),
            most: String(file.most),
            growth: String(file.growth ?? 10),
          })),
        ],
        [/SUM\(a\.used_pages\)/, [{ pages: String(PAGES) }]],
      ).session,
    )

  it('is what its files may grow to, of rows and log each by itself', async () => {
    expect(
      await facts([
        { type: 0, size: PAGES, most: 2 * PAGES },
        { type: 0, size: PAGES, most: 5 * PAGES, growth: 0 },
        { type: 1, size: PAGES, most: PAGES / 2, growth: 0 },
      ]),
    ).toEqual({
      usedBytes: gib(1),
      dataBytes: gib(2),
      mostBytes: gib(3),
      logMostBytes: gib(1),
      recovery: 'FULL',
      defaultSchema: 'shopper',
      grouped: '',
    })
  })

  it('is what Azure gives the database where that is less, and nothing where a file may fill its disk', async () => {
    expect(await facts([{ type: 0, size: PAGES, most: 30 * PAGES }], gib(2))).toMatchObject({ mostBytes: gib(2) })
    expect(await facts([{ type: 0, size: PAGES, most: -1 }], gib(2))).toMatchObject({ mostBytes: gib(2) })
    expect(await facts([{ type: 0, size: PAGES, most: -1 }])).toMatchObject({ mostBytes: '' })
    expect(await facts([{ type: 0, size: PAGES, most: -1, growth: 0 }])).toMatchObject({ mostBytes: gib(1) })
  })

  it('is named by check where the old rows and indexes may not fit', () => {
    const old = server({ usedBytes: gib(4) })
    expect(found(old, server({ mostBytes: gib(10), usedBytes: gib(1) }))).toEqual([])
    expect(found(old, server({ mostBytes: gib(10), usedBytes: gib(6) }))).toEqual(['warning new-database-too-small'])
    expect(found(old, server({ mostBytes: gib(3) }))).toEqual(['warning new-database-too-small'])
    expect(found(old, server({ mostBytes: '' }))).toEqual([])
    expect(found(server({}), server({ mostBytes: gib(3) }))).toEqual([])
  })

  it('is that of its log too, unless it empties itself', () => {
    const old = server({ usedBytes: gib(4) })
    expect(found(old, server({ logMostBytes: gib(1), recovery: 'FULL' }))).toEqual(['warning log-too-small'])
    expect(found(old, server({ logMostBytes: gib(1), recovery: 'SIMPLE' }))).toEqual([])
    expect(found(old, server({ logMostBytes: gib(5), recovery: 'FULL' }))).toEqual([])
    expect(found(old, server({ logMostBytes: '', recovery: 'FULL' }))).toEqual([])
  })

  it('is on Express what rows and indexes may take, whatever files and log have, and more since 2025', () => {
    const express = (major: number) => server({ engineEdition: '4', edition: 'Express Edition' }, [major, 0, 1, 1])
    const old = (usedBytes: string, dataBytes: string) => server({ usedBytes, dataBytes })
    expect(found(old(gib(2), gib(5)), express(16))).toEqual([])
    expect(found(old(gib(9), gib(9)), express(16))).toEqual(['warning express-limit'])
    expect(found(old(gib(11), gib(11)), express(16))).toEqual(['error express-limit'])
    const [emptyish] = consequences(old(gib(2), gib(30)), express(16))
    expect(emptyish).toMatchObject({ severity: 'warning', code: 'express-limit' })
    expect(emptyish?.hint).toContain('portable')
    expect(found(old(gib(11), gib(30)), express(17))).toEqual([])
    expect(found(old(gib(51), gib(51)), express(17))).toEqual(['error express-limit'])
  })
})

describe('names without a schema', () => {
  it('are looked for elsewhere where the new account has another default schema, and named unless they stood in dbo', () => {
    const [own, dbo] = [server({ defaultSchema: 'shopper' }), server({ defaultSchema: 'dbo' })]
    const [finding] = consequences(own, dbo)
    expect(finding).toMatchObject({ severity: 'warning', code: 'default-schema-differs' })
    expect(finding?.hint).toContain('DEFAULT_SCHEMA = [shopper]')
    expect(found(dbo, own)).toEqual([])
    expect(found(own, server({ defaultSchema: 'Shopper' }))).toEqual([])
    expect(found(own, server({}))).toEqual([])
  })
})

describe('a database in an availability group', () => {
  const grouped = async (known: readonly string[], databases: number) => {
    const { session } = answered(
      [/sys\.all_columns/, known.map((column) => ({ view: 'databases', column }))],
      [/group_database_id/, [{ databases }]],
    )
    return (await roomFacts(session)).grouped
  }

  it('can’t be closed, which is told before the cutover', async () => {
    expect(await grouped(['group_database_id'], 1)).toBe('1')
    expect(await grouped(['group_database_id'], 0)).toBe('')
    expect(await grouped(['name'], 1)).toBe('')
    expect(found(server({ grouped: '1' }), server({}))).toEqual(['warning database-in-group'])
    expect(found(server({}), server({ grouped: '1' }))).toEqual([])
  })
})

describe('columns that the server numbers at each write', () => {
  it('are told to begin anew', () => {
    const [finding] = rowversionFindings([{ columns: [column('v', 'timestamp', { rowversion: true }), column('a', 'int', {})] }])
    expect(finding).toMatchObject({ severity: 'warning', code: 'rowversion-anew' })
    expect(finding?.message).toMatch(/^1 column is a rowversion: the new host numbers it anew/)
    expect(rowversionFindings([{ columns: [column('a', 'int', {})] }])).toEqual([])
  })
})

describe('a server', () => {
  const of = (version: string, engineEdition = '2') => {
    const told = { product: 'Microsoft SQL Server\n(X64)', version, database: 'shop', user: 'shop', engineEdition }
    const untold = ['server', 'collation', 'created', 'broker', 'edition', 'compatibility', 'versioned']
    const more = [...untold, 'snapshots', 'recursive', 'messaging', 'temporary'].map((name) => [name, null] as const)
    return serverInfo(answered([/@@VERSION/, [{ ...told, ...Object.fromEntries(more) }]]).session)
  }

  it('of 2008 R2 is refused by name, and one of 2012 is not', async () => {
    const failure = await failureOf(of('10.50.6000.34'))
    expect(failure.code).toBe('database-too-old')
    expect(failure.message).toContain('SQL Server 2012 or newer')
    expect((await of('11.0.2100.60')).version).toEqual([11, 0, 2100, 60])
  })

  it.each(['5', '8'])('of Azure is no older than any other, whatever number it gives: edition %s', async (edition) => {
    expect((await of('12.0.2000.8', edition)).version[0]).toBeGreaterThan(17)
    expect((await of('12.0.2000.8')).version).toEqual([12, 0, 2000, 8])
  })
})
