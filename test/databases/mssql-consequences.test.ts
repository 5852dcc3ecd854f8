import { describe, expect, it } from 'vitest'
import { consequences } from '../../src/databases/mssql/consequences.ts'
import type { ServerInfo } from '../../src/databases/port.ts'

const server = (change: Partial<ServerInfo> & { readonly facts?: Readonly<Record<string, string>> } = {}): ServerInfo => ({
  engine: 'mssql',
  product: 'Microsoft SQL Server 2019',
  version: [15, 0, 4430, 1],
  database: 'shop',
  user: 'shop',
  collation: 'Latin1_General_CI_AS',
  fingerprint: 'f',
  sizeBytes: 2 ** 30,
  ...change,
  facts: {
    edition: 'Standard Edition (64-bit)',
    engineEdition: '2',
    compatibility: '150',
    readCommittedSnapshot: '0',
    ...change.facts,
  },
})
const found = (source: ServerInfo, target: ServerInfo) =>
  consequences(source, target).map(({ severity, code }) => `${severity} ${code}`)

describe('what the new host’s server means for a shop', () => {
  it('is nothing when it is the same or a later one', () => {
    expect(found(server(), server())).toEqual([])
    expect(found(server(), server({ product: 'Microsoft SQL Server 2022', version: [16, 0, 4100, 1] }))).toEqual([])
  })

  it('is what an older release lacks, and nothing that neither has', () => {
    const [finding] = consequences(server(), server({ product: 'Microsoft SQL Server 2012', version: [11, 0, 7001, 0] }))
    expect(finding).toMatchObject({ severity: 'warning', code: 'older-release' })
    expect(finding?.message).toContain('STRING_SPLIT')
    expect(finding?.message).toContain('UTF-8 collations')
    expect(finding?.message).not.toContain('GREATEST')
  })

  it('is a lower compatibility level, with the statement that sets it', () => {
    const [finding] = consequences(server(), server({ facts: { compatibility: '110' } }))
    expect(finding).toMatchObject({ severity: 'warning', code: 'compatibility-differs' })
    expect(finding?.hint).toContain('SET COMPATIBILITY_LEVEL = 150')
    expect(found(server(), server({ facts: { compatibility: '160' } }))).toEqual(['info compatibility-differs'])
  })

  it('is Express’s limit on the size', () => {
    const express = server({ facts: { edition: 'Express Edition', engineEdition: '4' } })
    expect(found(server({ sizeBytes: 11 * 2 ** 30 }), express)).toEqual(['error express-limit'])
    expect(found(server({ sizeBytes: 9 * 2 ** 30 }), express)).toEqual(['warning express-limit'])
    expect(found(server({ sizeBytes: 2 ** 30 }), express)).toEqual([])
    expect(found(server({ sizeBytes: null }), express)).toEqual([])
  })

  it('is what lesser editions had not before 2016 SP1', () => {
    const enterprise = server({ version: [13, 0, 1601, 5], facts: { engineEdition: '3' } })
    expect(found(enterprise, server({ version: [13, 0, 1601, 5] }))).toEqual(['warning lesser-edition'])
    expect(found(enterprise, server({ version: [13, 0, 4001, 0] }))).toEqual([])
  })

  it('is told of Azure by what it is, not by its release number', () => {
    const azure = server({ product: 'Microsoft SQL Azure', version: [12, 0, 2000, 8], facts: { engineEdition: '5' } })
    expect(found(server(), azure)).toEqual(['warning azure-database'])
    expect(found(azure, azure)).toEqual([])
    expect(found(azure, server())).toEqual(['warning older-release'])
  })

  it('is that readers wait where they didn’t', () => {
    expect(found(server({ facts: { readCommittedSnapshot: '1' } }), server())).toEqual(['warning readers-wait'])
    expect(found(server(), server({ facts: { readCommittedSnapshot: '1' } }))).toEqual(['warning readers-never-wait'])
  })

  it.each([
    ['snapshotIsolation', ['warning snapshot-isolation-off'], []],
    ['recursiveTriggers', ['warning recursive-triggers'], ['warning recursive-triggers']],
    ['serviceBroker', ['warning service-broker-off'], []],
  ])('is another setting of the database: %s', (name, lost, gained) => {
    const [on, off] = [server({ facts: { [name]: '1' } }), server({ facts: { [name]: '0' } })]
    expect(found(on, off)).toEqual(lost)
    expect(found(off, on)).toEqual(gained)
    expect(found(on, on)).toEqual([])
  })

  it('is the account’s language, and first of all whether it turns dates around', () => {
    const language = (name: string, dateFormat: string) => server({ facts: { language: name, dateFormat } })
    const [english, german, british] = [
      language('us_english', 'mdy'),
      language('Deutsch', 'dmy'),
      language('British', 'dmy'),
    ] as const
    const [turned] = consequences(german, english)
    expect(turned).toMatchObject({ severity: 'warning', code: 'language-differs' })
    expect(turned?.message).toContain('read as mdy there, not as dmy')
    expect(turned?.hint).toContain('DEFAULT_LANGUAGE')
    expect(consequences(german, british)[0]?.message).toMatch(/Deutsch.*British.*names of months/)
    expect(found(german, german)).toEqual([])
    expect(found(german, server())).toEqual([])
  })

  it('is a collation of temporary tables that the shop’s columns haven’t got', () => {
    const temporaries = (temporaryCollation: string) => server({ facts: { temporaryCollation } })
    const [alike, other] = [temporaries('Latin1_General_CI_AS'), temporaries('SQL_Latin1_General_CP1_CI_AS')]
    const [finding] = consequences(alike, other)
    expect(finding).toMatchObject({ severity: 'warning', code: 'temporary-collation' })
    expect(finding?.message).toContain('error 468')
    expect(found(other, alike)).toEqual([])
    expect(found(other, other)).toEqual([])
  })

  it('is nothing of what a server doesn’t tell', () => {
    const silent = { ...server(), facts: {} }
    expect(found(silent, silent)).toEqual([])
    expect(found(server({ facts: { readCommittedSnapshot: '1' } }), silent)).toEqual([])
  })
})
