import { createHash } from 'node:crypto'

/** What a cell is filled with: text in the engine's own spelling, bytes, or nothing. */
export type Cell = string | Buffer | null

/** A cell that is to be made up. */
export interface Wanted {
  /** The column's type as DDL spells it, with its base type where it is a domain's. */
  readonly type: string
  /** Letters that a text's column has room for: Western Europe's, those of two bytes in UTF-16, or all. */
  readonly letters: 'latin' | 'plane' | 'all'
  /** Rows of a table are numbered from 0. */
  readonly row: number
  /** Told apart from all other rows' values: a key's column. */
  readonly unique: boolean
  /** Says which of the possible values it is; the same in every run. */
  readonly chance: number
  /** Labels of types that the database declares itself, by the type's name. */
  readonly labels: ReadonlyMap<string, readonly string[]>
}

/** What shops' texts have and what gets lost on the way most often. */
const TEXTS = ['Tröja blå  ', "O'Brien & Söhne \\ \"GmbH\"", 'Zeile\nzwei\tund\r\ndrei', '', ' ', '日本語のシャツ', '🧦👩‍👩‍👧 socks 🏴‍☠️', '<p>&euro; 5,–</p>', 'İıßſ', 'NULL', '\\N', '0'] // biome-ignore format: one list
/** Within the letters of every code page of Western Europe. */
const LATIN = ['Tröja blå  ', "O'Brien & Söhne \\ \"GmbH\"", 'Zeile\nzwei\tund\r\ndrei', '', ' ', 'ß', 'NULL', '\\N', '0'] // biome-ignore format: one list

/** Numbers of rows begin here, so that the small ones stay the shop's own, and fit one signed byte. */
export const FIRST_NUMBER = 80

/** One value of a type, as literal text for the server to read. */
export function cellOf(wanted: Wanted): Cell {
  const type = wanted.type.toLowerCase()
  const labels = wanted.labels.get(wanted.type.replaceAll('"', '').replace(/^public\./, '')) ?? enumLabels(wanted.type)
  if (labels !== undefined) return labels[(wanted.unique ? wanted.row : wanted.chance) % labels.length] ?? null
  if (/\[\]$/.test(type)) return wanted.chance % 2 === 0 ? '{}' : null
  const made = MAKERS.find(([pattern]) => pattern.test(type))
  return made === undefined ? textOf(wanted, type) : made[1](wanted, type)
}

/** What `enum('a','b')` and `set('a','b')` allow. */
function enumLabels(type: string): readonly string[] | undefined {
  if (!/^(enum|set)\(/i.test(type)) return undefined
  return [...type.matchAll(/'((?:[^']|'')*)'/g)].map(([, label]) => (label ?? '').replaceAll("''", "'"))
}

const pick = <T>(values: readonly T[], { chance }: Wanted): T => values[chance % values.length] as T
const two = (value: number): string => String(value).padStart(2, '0')
const numbered = ({ row }: Wanted): string => String(FIRST_NUMBER + row)
const whole =
  (...edges: readonly string[]) =>
  (wanted: Wanted, type: string): string =>
    wanted.unique ? numbered(wanted) : pick(['0', '1', numbered(wanted), edges[type.includes('unsigned') ? 1 : 0] ?? '1'], wanted)

const MAKERS: readonly (readonly [RegExp, (wanted: Wanted, type: string) => Cell])[] = [
  [/^(bool|boolean|bit$|bit\(1\))/, ({ row, unique, chance }) => String((unique ? row : chance) % 2)],
  [/^bit\b/, ({ chance }) => String(chance % 2)],
  [/^tinyint/, whole('100', '255')],
  [/^smallint/, whole('32767', '65535')],
  [/^mediumint/, whole('8388607', '16777215')],
  [/^(bigint|int8$)/, whole('9223372036854775807', '18446744073709551615')],
  [/^(int|integer|serial)/, whole('2147483647', '4294967295')],
  [/^(decimal|numeric)/, decimal],
  [
    /^(money|smallmoney)/,
    (wanted) => (wanted.unique ? numbered(wanted) : pick(['0', '-1234.5678', '19.9900', '214748.3647'], wanted)),
  ],
  [
    /^(float|double|real)/,
    (wanted) => (wanted.unique ? numbered(wanted) : pick(['0', '0.1', '-1.5', '1234567.875', '1e-10'], wanted)),
  ],
  [/^(datetime2|datetimeoffset|datetime|smalldatetime|timestamp)/, moment],
  [/^date/, (wanted) => `20${two(10 + (wanted.row % 20))}-02-${two(1 + (wanted.chance % 28))}`],
  [/^time/, ({ chance }) => `${two(chance % 24)}:${two(chance % 60)}:59`],
  [/^year/, ({ row }) => String(2000 + (row % 100))],
  [/^interval/, (wanted) => pick(['1 mon -3 days 04:05:06.7', '0', '15 min'], wanted)],
  [/^(uuid|uniqueidentifier)/, ({ row, unique, chance }) => uuid(unique ? String(row) : `any ${chance % 7}`)],
  [/^jsonb?/, ({ row }) => `{"b": ${row}, "a": [1.10, null, "🧦 \\"x\\" "]}`],
  [/^xml/, ({ row }) => `<a n="${row}">Tröja <b/></a>`],
  [/^(inet|cidr)/, ({ row }) => `10.0.0.${row % 250}`],
  [/^hstore/, ({ row }) => `"a"=>"${row}"`],
  [/^tsvector/, ({ row }) => `'sock':${1 + row}`],
  [/^(int[48]range|numrange)/, ({ row }) => `[${row},${row + 1})`],
  [/^(binary|varbinary|\w*blob|bytea|image|rowversion)/, bytesOf],
]

/** Every digit that the type has room for; small and with a sign elsewhere. */
function decimal(wanted: Wanted, type: string): string {
  if (wanted.unique) return numbered(wanted)
  const [, digits = '38', places = '0'] = /\((\d+)(?:,\s*(\d+))?\)/.exec(type) ?? ['', '30', '10']
  const before = Number(digits) - Number(places)
  const full = `${'9'.repeat(before) || '0'}${places === '0' ? '' : `.${'9'.repeat(Number(places))}`}`
  return pick(['0', before > 1 ? '19' : '0', type.includes('unsigned') ? '1' : `-${full}`, full], {
    ...wanted,
    chance: wanted.chance,
  })
}

/** Whole minutes for what keeps no seconds; thousandths for what keeps them. */
function moment({ row, chance, unique }: Wanted, type: string): string {
  const day = `20${two(10 + (row % 20))}-02-${two(1 + (chance % 28))}`
  if (type.startsWith('smalldatetime')) return `${day} ${two(chance % 24)}:${two(unique ? row % 60 : chance % 60)}`
  return `${day} ${two(chance % 24)}:${two(chance % 60)}:${two(unique ? row % 60 : 59)}${/^datetime\b(?!\()|^timestamp\b$/.test(type) ? '' : '.997'}`
}

function uuid(of: string): string {
  const hex = createHash('md5').update(of).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
}

function bytesOf({ row, unique, chance }: Wanted, type: string): Buffer {
  const room = Number(/\((\d+)\)/.exec(type)?.[1] ?? 64)
  const bytes = createHash('sha256')
    .update(unique ? `row ${row}` : `any ${chance}`)
    .digest()
  if (unique) return bytes.subarray(0, room)
  return Buffer.concat([Buffer.from([0, 0x27, 0x5c, 0x0a, 0x1a, 0xff]), bytes, Buffer.from([0x20, 0])]).subarray(0, room)
}

/** A text that fits; a key's begins with its row's number, so that it is another even where the column is short. */
function textOf(wanted: Wanted, type: string): string {
  const room = Number(/\((\d+)\)/.exec(type)?.[1] ?? (/^"?char"?$/.test(type) ? 1 : 200))
  if (wanted.unique) return `${wanted.row.toString(36)}x${room > 12 ? 'ö' : ''}`.slice(0, room)
  const texts = wanted.letters === 'latin' ? LATIN : wanted.letters === 'plane' ? TEXTS.filter(isInPlane) : TEXTS
  return cut(pick(texts, wanted), room)
}

/** No more than `room` units of UTF-16, and no half of a pair. */
const cut = (text: string, room: number): string => text.slice(0, room).replace(/[\ud800-\udbff]$/, '')

const isInPlane = (text: string): boolean => !/[\u{10000}-\u{10ffff}]/u.test(text)
