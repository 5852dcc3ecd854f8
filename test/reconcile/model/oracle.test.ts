import { describe, expect, it } from 'vitest'
import type { LedgerEntry } from '../../../src/databases/port.ts'
import { look, Names, type View } from './entities.ts'
import type { Values } from './hosts.ts'
import { Oracle } from './oracle.ts'
import type { ModelSchema, ModelTable } from './schema.ts'

const table: ModelTable = {
  name: 't0',
  kind: 'natural',
  key: ['code'],
  columns: ['code', 'mail', 'note'].map((name) => ({ name, kind: 'text', nullable: true })),
  references: [],
  unique: false,
  conflict: 'park',
  add: false,
  noteRule: 'none',
  match: true,
  ignore: false,
}
const schema: ModelSchema = { tables: [table], headroom: 0 }
const NAME = '⟨t0 ada⟩'
const names = new Names()

const host = (...notes: readonly string[]): Promise<View> =>
  look(
    schema,
    { rows: async (): Promise<readonly Values[]> => notes.map((note) => ({ code: 'ada', mail: 'ada@x', note })) },
    names,
  )

const noted: LedgerEntry = {
  run: 'run',
  table: 't0',
  sourceKey: '["ada"]',
  targetKey: '["ada"]',
  action: 'merged',
  sourceState: '',
  targetState: '',
  at: '2026-11-20T07:00:00.000Z',
}

/** Ada registered on both hosts, and became one there while her row on the old host was this, one after the other. */
async function merged(...notes: readonly string[]): Promise<Oracle> {
  const oracle = new Oracle(schema, names, await host())
  const sources = await Promise.all(notes.map((note) => host(note)))
  const target = await host('on new')
  oracle.judge({ from: 'old', sources, before: target, after: target, entries: [noted] })
  expect(oracle.complaints).toEqual([])
  return oracle
}

const right = async (oracle: Oracle, note: string): Promise<readonly string[]> =>
  oracle.outcomes(NAME, table, 'old', await host(note), await host('on new')).map((outcome) => outcome.do)

describe('what the model takes for right', () => {
  it('is one thing alone where nobody wrote the row during the pass: parked, it would be a fault', async () => {
    expect(await right(await merged('first', 'first', 'first'), 'first')).toEqual(['leave'])
  })

  it('is a conflict, and nothing else, where the row was changed after it', async () => {
    expect(await right(await merged('first'), 'second')).toEqual(['park'])
  })

  it('is open where the row was changed during the pass, until it is seen which way was taken', async () => {
    const oracle = await merged('first', 'second')
    expect(await right(oracle, 'second')).toEqual(['leave', 'park'])
    oracle.narrow(NAME, [false, true])
    expect(await right(oracle, 'second')).toEqual(['park'])
    expect(await right(oracle, 'first')).toEqual(['leave'])
  })
})
