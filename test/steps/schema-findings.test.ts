import { describe, expect, it } from 'vitest'
import { planRestore } from '../../src/databases/plan/restore.ts'
import type { ForeignKey, Schema, Table } from '../../src/databases/schema.ts'
import type { Manifest } from '../../src/databases/snapshot/manifest.ts'
import { unknownNames } from '../../src/steps/playbook-names.ts'
import { schemaFindings } from '../../src/steps/rules.ts'
import type { TableRules } from '../../src/steps/world.ts'
import { testWorld } from '../fakes/step-run.ts'

const table = (name: string): Table => ({
  name: { schema: 'dbo', name },
  columns: [],
  primaryKey: null,
  uniqueKeys: [],
  key: ['id'],
  triggers: [],
})
const [orders, visits] = [table('Orders'), table('Visits')]

describe('what a schema can’t carry', () => {
  const schema: Schema = {
    tables: [orders, visits],
    foreignKeys: [],
    identities: [],
    objects: [],
    principals: [],
    findings: [
      { severity: 'error', code: 'file-table', message: 'Visits', table: 'dbo.Visits' },
      { severity: 'error', code: 'graph-table', message: 'Orders', table: 'dbo.Orders' },
      { severity: 'error', code: 'clr-assembly', message: 'an assembly' },
    ],
  }

  it('stops the run, but not where the playbook leaves its table out', () => {
    const found = (tables: Readonly<Record<string, Partial<TableRules>>>) =>
      schemaFindings(testWorld({ tables }), schema).map(({ severity, code }) => `${severity} ${code}`)
    expect(found({})).toEqual(['error file-table', 'error graph-table', 'error clr-assembly'])
    expect(found({ visits: { mode: 'skip' } })).toEqual(['warning file-table', 'error graph-table', 'error clr-assembly'])
    expect(found({ visits: { mode: 'copy-only' } })).toEqual(['error file-table', 'error graph-table', 'error clr-assembly'])
  })
})

describe('a table that no copy is made of at all', () => {
  const schema: Schema = {
    tables: [orders],
    foreignKeys: [],
    identities: [],
    objects: [],
    principals: [],
    findings: [{ severity: 'error', code: 'table-engine', message: 'Archive', table: 'dbo.Archive' }],
  }
  const found = (tables: Readonly<Record<string, Partial<TableRules>>>) => {
    const world = testWorld({ tables })
    return [...schemaFindings(world, schema), ...unknownNames(world, schema)].map(({ severity, code }) => `${severity} ${code}`)
  }

  it('may be left out by its name, and stops the run otherwise', () => {
    expect(found({})).toEqual(['error table-engine'])
    expect(found({ archive: { mode: 'skip' } })).toEqual(['warning table-engine'])
    expect(found({ 'dbo.Archive': { mode: 'skip' } })).toEqual(['warning table-engine'])
    expect(found({ Archive: { mode: 'copy-only' } })).toEqual(['error table-engine', 'error unknown-table'])
    expect(found({ Archives: { mode: 'skip' } })).toEqual(['error table-engine', 'error unknown-table'])
  })
})

describe('rows without a parent', () => {
  const key = (change: Partial<ForeignKey>): ForeignKey => ({
    name: 'FK',
    table: visits.name,
    columns: ['order'],
    parent: orders.name,
    parentColumns: ['id'],
    enforced: true,
    sql: '',
    ...change,
  })
  const fuzzy: Manifest = {
    schemaSha256: 'x',
    engine: 'mssql',
    identities: [],
    sessions: [{ consistent: false, at: '2026-01-01T00:00:00Z' }],
    tables: new Map(),
    dump: null,
    complete: true,
  }

  it('are removed after a copy of several moments, but never where the old host doesn’t mind them itself', () => {
    const kinds = (change: Partial<ForeignKey>) => {
      const foreignKeys = [key(change)]
      const schema: Schema = { tables: [orders, visits], foreignKeys, identities: [], objects: [], principals: [], findings: [] }
      const statements = [{ name: 'foreign key dbo.FK', stage: 'after' as const, sql: 'FK', undo: null }]
      return planRestore({
        schema,
        statements,
        marks: new Set<string>(),
        copied: [orders, visits],
        manifest: fuzzy,
        following: false,
        sizes: [],
        connections: 1,
      }).map((change) => change.kind)
    }
    expect(kinds({})).toContain('orphans')
    expect(kinds({ trusted: false })).not.toContain('orphans')
    expect(kinds({ enforced: false })).not.toContain('orphans')
  })
})
