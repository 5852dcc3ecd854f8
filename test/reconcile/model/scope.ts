import type { History } from './history.ts'
import type { ModelSchema } from './schema.ts'

/** Parts of shops and histories that can be left out. */
const PARTS = [
  'match',
  'keyless',
  'undeclared',
  'circles',
  'resumed',
  'back',
  'annexes',
  'apart',
  'policies',
  'headroom',
] as const
type Part = (typeof PARTS)[number]

/** MIGRATE_TEST_MODEL_WITHOUT names parts that aren't played, with commas between, to look into a fault. Without it, all are. */
export function scopeOf(): ReadonlySet<Part> {
  const given = process.env.MIGRATE_TEST_MODEL_WITHOUT ?? ''
  return new Set(PARTS.filter((part) => given.split(',').includes(part)))
}

/** Whether a history can be played without these parts: tables can't lose their kind of key. */
export const isWithin = ({ schema }: History, left: ReadonlySet<Part>): boolean =>
  schema.tables.every(
    ({ kind }) => !(left.has('keyless') && kind === 'none') && !(left.has('annexes') && (kind === 'owned' || kind === 'annex')),
  )

export function without(history: History, left: ReadonlySet<Part>): History {
  const calm = <E extends History['events'][number]>(event: E): E =>
    event.what === 'pass' && left.has('resumed') ? { ...event, again: false } : event
  return {
    schema: schemaWithout(history.schema, left),
    beginning: history.beginning,
    events: history.events.map(calm),
    back: left.has('back') ? null : (history.back?.map(calm) ?? null),
  }
}

function schemaWithout({ tables, headroom }: ModelSchema, left: ReadonlySet<Part>): ModelSchema {
  const place = (name: string): number => tables.findIndex((table) => table.name === name)
  return {
    headroom: left.has('headroom') ? 1000 : headroom,
    tables: tables.map((table) => ({
      ...table,
      match: table.match && !left.has('match'),
      add: table.add && !left.has('apart'),
      noteRule: left.has('apart') ? 'none' : table.noteRule,
      conflict: left.has('policies') ? 'park' : table.conflict,
      references: table.references
        .filter((reference) => !left.has('circles') || place(reference.parent) < place(table.name))
        .map((reference) => ({ ...reference, declared: reference.declared || left.has('undeclared') })),
    })),
  }
}
