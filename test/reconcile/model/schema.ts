import fc from 'fast-check'

/**
 * How the rows of a table are told apart. `owned`: by a reference to another table's row and a line, as order items are; `annex`: by
 * such a reference alone, as passwords are.
 */
export type KeyKind = 'identity' | 'natural' | 'guid' | 'owned' | 'annex' | 'pair' | 'none'
export type ConflictRule = 'park' | 'old' | 'new' | 'newest'
export type NoteRule = 'none' | 'old' | 'new' | 'park' | 'newest'

/** A column's kind, from which every host makes its own type. */
export type ColumnKind = 'id' | 'number' | 'text' | 'guid' | 'stamp'

export interface ModelColumn {
  readonly name: string
  readonly kind: ColumnKind
  readonly nullable: boolean
}

export interface ModelReference {
  readonly name: string
  readonly columns: readonly string[]
  readonly parent: string
  readonly nullable: boolean
  /** False: the schema doesn't declare it, the playbook names it. */
  readonly declared: boolean
}

export interface ModelTable {
  readonly name: string
  readonly kind: KeyKind
  readonly key: readonly string[]
  readonly columns: readonly ModelColumn[]
  /** The first is the owner where `kind` is `owned`. */
  readonly references: readonly ModelReference[]
  /** The column `mail` is unique. */
  readonly unique: boolean
  readonly conflict: ConflictRule
  /** `amount` is a counter. */
  readonly add: boolean
  readonly noteRule: NoteRule
  /** `mail` is the natural key: the same on both hosts is the same thing. */
  readonly match: boolean
  /** `hits` is left out of comparison. */
  readonly ignore: boolean
}

export interface ModelSchema {
  readonly tables: readonly ModelTable[]
  /** By how much the new host's identities stand above the old host's at the start. */
  readonly headroom: number
}

/** What a table is made from: small numbers, so that a failing schema shrinks to a small one. */
const seed = fc.record({
  kind: fc.constantFrom<KeyKind>(
    'identity',
    'identity',
    'identity',
    'identity',
    'natural',
    'guid',
    'owned',
    'annex',
    'pair',
    'none',
  ),
  references: fc.array(fc.record({ to: fc.nat(9), nullable: fc.boolean(), declared: fc.boolean() }), { maxLength: 2 }),
  unique: fc.boolean(),
  conflict: fc.constantFrom<ConflictRule>('park', 'park', 'old', 'new', 'newest'),
  add: fc.boolean(),
  noteRule: fc.constantFrom<NoteRule>('none', 'none', 'none', 'old', 'new', 'park', 'newest'),
  match: fc.boolean(),
  ignore: fc.boolean(),
})
type Seed = typeof seed extends fc.Arbitrary<infer S> ? S : never

export const schemas: fc.Arbitrary<ModelSchema> = fc
  .record({
    seeds: fc.oneof(
      { weight: 4, arbitrary: fc.array(seed, { minLength: 2, maxLength: 3, size: 'max' }) },
      { weight: 1, arbitrary: fc.array(seed, { minLength: 4, maxLength: 6, size: 'max' }) },
    ),
    headroom: fc.constantFrom(1000, 3, 1, 0),
  })
  .map(({ seeds, headroom }) => ({ tables: made(seeds), headroom }))

/** A table's key, before its references are known. */
interface Keyed {
  readonly name: string
  readonly kind: KeyKind
  readonly key: readonly ModelColumn[]
  readonly owner: string | undefined
}

function made(seeds: readonly Seed[]): readonly ModelTable[] {
  const keyed: Keyed[] = []
  for (const [at, each] of seeds.entries()) keyed.push(keyedOf(`t${at}`, each, keyed))
  return keyed.map((own, at) => tableOf(own, seeds[at] ?? NOTHING, keyed))
}

const column = (name: string, kind: ColumnKind, nullable = false): ModelColumn => ({ name, kind, nullable })

/** An owned row needs a table before it whose rows have a single column as key. */
function keyedOf(name: string, each: Seed, earlier: readonly Keyed[]): Keyed {
  const single = earlier.filter((other) => other.key.length === 1)
  const parent = single[(each.references[0]?.to ?? 0) % Math.max(single.length, 1)]
  const isOwned = each.kind === 'owned' || each.kind === 'annex'
  const kind = isOwned && parent === undefined ? 'identity' : each.kind
  const owner = isOwned ? parent?.name : undefined
  const keys: Readonly<Record<KeyKind, readonly ModelColumn[]>> = {
    identity: [column('id', 'id')],
    natural: [column('code', 'text')],
    guid: [column('gid', 'guid')],
    owned: [column('owner', referring(parent?.key[0])), column('line', 'number')],
    annex: [column('owner', referring(parent?.key[0]))],
    pair: [column('a', 'number'), column('b', 'text')],
    none: [],
  }
  return { name, kind, key: keys[kind], owner }
}

/** The kind of a column that refers to this one: a number is no identity there. */
const referring = (key: ModelColumn | undefined): ColumnKind => (key === undefined || key.kind === 'id' ? 'number' : key.kind)

const PLAIN: readonly ModelColumn[] = [
  column('tag', 'text'),
  column('note', 'text', true),
  column('amount', 'number'),
  column('stamp', 'stamp', true),
  column('mail', 'text', true),
  column('hits', 'number'),
]

function tableOf(own: Keyed, each: Seed, all: readonly Keyed[]): ModelTable {
  const owned = own.owner === undefined ? [] : [ownerOf(own.owner, each)]
  const more = (own.owner === undefined ? each.references : each.references.slice(1)).map((wish, at) =>
    referenceOf(`r${at}`, wish, own, all),
  )
  const made = more.filter((reference) => reference !== undefined)
  return {
    name: own.name,
    kind: own.kind,
    key: own.key.map((key) => key.name),
    columns: [...own.key, ...made.flatMap(({ columns }) => columns), ...PLAIN],
    references: [...owned, ...made.map(({ reference }) => reference)],
    ...rulesOf(own.kind, each),
  }
}

const ownerOf = (parent: string, each: Seed): ModelReference => ({
  name: 'owner',
  columns: ['owner'],
  parent,
  nullable: false,
  declared: each.references[0]?.declared ?? true,
})

/** Only what points at a table further up may be mandatory: everything else could never be filled. */
function referenceOf(name: string, wish: Seed['references'][number], own: Keyed, all: readonly Keyed[]) {
  const parents = all.filter((other) => other.key.length > 0)
  const parent = parents[wish.to % Math.max(parents.length, 1)]
  if (parent === undefined) return undefined
  const nullable = wish.nullable || all.indexOf(parent) >= all.indexOf(own)
  const columns = parent.key.map((key) =>
    column(parent.key.length === 1 ? name : `${name}_${key.name}`, referring(key), nullable),
  )
  // A playbook's reference is one column.
  const declared = wish.declared || columns.length > 1
  return { columns, reference: { name, columns: columns.map((each) => each.name), parent: parent.name, nullable, declared } }
}

function rulesOf(kind: KeyKind, each: Seed) {
  const keyed = kind !== 'none'
  return {
    unique: each.unique && keyed,
    conflict: keyed ? each.conflict : ('park' as const),
    add: each.add && keyed,
    noteRule: keyed ? each.noteRule : ('none' as const),
    match: each.match && each.unique && (kind === 'identity' || kind === 'guid'),
    ignore: each.ignore && keyed,
  }
}

const NOTHING: Seed = {
  kind: 'none',
  references: [],
  unique: false,
  conflict: 'park',
  add: false,
  noteRule: 'none',
  match: false,
  ignore: false,
}
