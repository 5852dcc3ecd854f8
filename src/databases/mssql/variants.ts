import { MigrateError } from '../../base/errors.ts'
import type { Cell, Row } from '../port.ts'
import type { Column } from '../schema.ts'

/**
 * sql_variant: each value has a type of its own, with its precision, scale, length and collation, all of which belong to it
 * ("sql_variant (Transact-SQL)", "SQL_VARIANT_PROPERTY (Transact-SQL)"). A cell says the type before the value, so that 1 of int isn't 1 of
 * bigint:
 *
 *     decimal(5,2):1.50        varchar(40) Latin1_General_CI_AS:a colon: no matter        varbinary(2):00FF
 *
 * float and real stand as the whole number that their IEEE 754 bytes are, since the text that keeps every digit (CONVERT's style 3) only
 * exists since SQL Server 2016; the server makes them of it again by arithmetic that is exact in binary. Everything is text made and read
 * by the server.
 */
export interface VariantForm {
  /** What stands before the value, with the colon. */
  readonly prefix: string
  /** As CONVERT takes it: `decimal(5,2)`. */
  readonly type: string
  readonly name: string
  readonly collation: string | undefined
}

/** Sizes of each base type: how many, and the largest. What isn't here can't be in a sql_variant ("sql_variant (Transact-SQL)", Remarks). */
const SIZES: Readonly<Record<string, readonly number[]>> = {
  bit: [],
  tinyint: [],
  smallint: [],
  int: [],
  bigint: [],
  decimal: [38, 38],
  numeric: [38, 38],
  money: [],
  smallmoney: [],
  float: [],
  real: [],
  date: [],
  time: [7],
  smalldatetime: [],
  datetime: [],
  datetime2: [7],
  datetimeoffset: [7],
  uniqueidentifier: [],
  char: [8000],
  varchar: [8000],
  nchar: [4000],
  nvarchar: [4000],
  binary: [8000],
  varbinary: [8000],
}

const PREFIX = /^([a-z0-9]+)(?:\((\d+)(?:,(\d+))?\))?(?: ([A-Za-z0-9_]+))?:/

/**
 * The form of a cell, every piece of which is known to be harmless in SQL; `undefined` for NULL. Throws `variant-type-unknown` for a type
 * that isn't known: of a later release of the server, perhaps.
 */
export function formOf(cell: Cell): VariantForm | undefined {
  if (cell === null) return undefined
  const [prefix = '', name = '', ...rest] = PREFIX.exec(cell) ?? []
  const collation = rest[2]
  const sizes = rest.slice(0, 2).flatMap((size) => (size === undefined ? [] : [Number(size)]))
  const most = SIZES[name]
  const isText = /char$/.test(name)
  const fits = most?.length === sizes.length && sizes.every((size, at) => size <= (most[at] ?? 0))
  if (!fits || isText !== (collation !== undefined)) {
    throw new MigrateError(
      'variant-type-unknown',
      `A sql_variant holds a value of the type ${cell.split(':', 1)[0]?.slice(0, 80)}, which migrate can't copy faithfully.`,
      { hint: 'Leave its table out in the playbook (`tables: { NAME: skip }`) and copy it by hand.' },
    )
  }
  const type = sizes.length === 0 ? name : `${name}(${sizes.join(',')})`
  return { prefix, type, name, collation }
}

const property = (reference: string, name: string, type: string): string =>
  `CONVERT(${type}, SQL_VARIANT_PROPERTY(${reference}, '${name}'))`

const baseOf = (reference: string): string => property(reference, 'BaseType', 'nvarchar(20)')

const among = (names: readonly string[]): string => names.map((name) => `N'${name}'`).join(', ')
const TEXTS = ['char', 'varchar', 'nchar', 'nvarchar']
const BYTES = ['binary', 'varbinary']

/**
 * `varchar(40) Latin1_General_CI_AS`. MaxLength counts bytes. Some drivers send an empty value with the length 0, which no type can be
 * declared with: it counts as 1.
 */
function formSql(reference: string): string {
  const base = baseOf(reference)
  const number = (name: string): string => property(reference, name, 'nvarchar(5)')
  const length = (bytes: number): string => {
    const most = property(reference, 'MaxLength', 'int')
    return `CONVERT(nvarchar(5), CASE WHEN ${most} < ${bytes} THEN 1 WHEN ${most} > 8000 THEN ${8000 / bytes} ELSE ${most} / ${bytes} END)`
  }
  return `${base} + CASE
  WHEN ${base} IN (N'decimal', N'numeric') THEN N'(' + ${number('Precision')} + N',' + ${number('Scale')} + N')'
  WHEN ${base} IN (N'time', N'datetime2', N'datetimeoffset') THEN N'(' + ${number('Scale')} + N')'
  WHEN ${base} IN (N'nchar', N'nvarchar') THEN N'(' + ${length(2)} + N')'
  WHEN ${base} IN (N'char', N'varchar', N'binary', N'varbinary') THEN N'(' + ${length(1)} + N')' ELSE N'' END
+ CASE WHEN ${base} IN (${among(TEXTS)}) THEN N' ' + ${property(reference, 'Collation', 'nvarchar(128)')} ELSE N'' END`
}

/** What is neither text nor bytes, as text; each type with a style of its own (values.ts). */
const PLAIN: Readonly<Record<string, (reference: string) => string>> = {
  money: (reference) => `CONVERT(nvarchar(24), CONVERT(decimal(19,4), CONVERT(money, ${reference})))`,
  smallmoney: (reference) => `CONVERT(nvarchar(24), CONVERT(decimal(10,4), CONVERT(smallmoney, ${reference})))`,
  float: (reference) => `CONVERT(nvarchar(20), CONVERT(bigint, CONVERT(binary(8), CONVERT(float, ${reference}))))`,
  real: (reference) => `CONVERT(nvarchar(11), CONVERT(int, CONVERT(binary(4), CONVERT(real, ${reference}))))`,
  date: (reference) => `CONVERT(nvarchar(10), CONVERT(date, ${reference}), 23)`,
  time: (reference) => `CONVERT(nvarchar(16), CONVERT(time(7), ${reference}), 121)`,
  smalldatetime: (reference) => `CONVERT(nvarchar(19), CONVERT(smalldatetime, ${reference}), 120)`,
  datetime: (reference) => `CONVERT(nvarchar(23), CONVERT(datetime, ${reference}), 121)`,
  datetime2: (reference) => `CONVERT(nvarchar(27), CONVERT(datetime2(7), ${reference}), 121)`,
  datetimeoffset: (reference) => `CONVERT(nvarchar(34), CONVERT(datetimeoffset(7), ${reference}), 121)`,
}

/** A value's text by its base type: `texts` and `bytes` tell what is made of those two kinds. */
function valueSql(reference: string, texts: string, bytes: string): string {
  const base = baseOf(reference)
  const plain = Object.entries(PLAIN).map(([name, sql]) => `WHEN ${base} = N'${name}' THEN ${sql(reference)}`)
  return `CASE WHEN ${base} IN (${among(TEXTS)}) THEN ${texts}
  WHEN ${base} IN (${among(BYTES)}) THEN ${bytes}
  ${plain.join('\n  ')}
  ELSE CONVERT(nvarchar(41), ${reference}) END`
}

const characters = (reference: string): string => `CONVERT(nvarchar(max), ${reference})`
const bytes = (reference: string): string => `CONVERT(varbinary(8000), ${reference})`

/** The cell of a variant. */
export const variantSelect = (reference: string): string =>
  `CASE WHEN ${reference} IS NOT NULL THEN ${formSql(reference)} + N':'
+ ${valueSql(reference, characters(reference), `CONVERT(nvarchar(max), ${bytes(reference)}, 2)`)} END`

/** Characters that `variantPrint` takes at most: a type of up to 20, a collation of up to 128, and the longest of the values. */
export const VARIANT_PRINT_WIDTH = 220

/**
 * A variant in its row's fingerprint (print-values.ts): the cell, but of text and bytes their hashes. A text has at most 8,000 characters, two
 * times as many as HASHBYTES takes before SQL Server 2016. `hash`: SQL for 64 bits of the hash of at most 8,000 bytes, as a number.
 */
export function variantPrint(reference: string, hash: (value: string) => string): string {
  const part = (start: number): string =>
    `CONVERT(nvarchar(20), ${hash(`CONVERT(nvarchar(4000), SUBSTRING(${characters(reference)} COLLATE Latin1_General_BIN2, ${start}, 4000))`)})`
  const texts = `${part(1)} + N';' + ${part(4001)}`
  const value = valueSql(reference, texts, `CONVERT(nvarchar(20), ${hash(bytes(reference))})`)
  return `${formSql(reference)} + N':' + ${value}`
}

/** `sign × (1 + fraction ÷ 2^bits) × 2^(exponent - bias)`, or without the 1 below the smallest normal number: no step of it rounds. */
function ieee(value: string, integer: 'bigint' | 'int', bits: number, bias: number): string {
  const whole = `CONVERT(${integer}, ${value})`
  const constant = (number: bigint): string => `CONVERT(${integer}, ${number})`
  const one = 2n ** BigInt(bits)
  const exponent = `(${whole} & ${constant(BigInt(2 * bias + 1) * one)}) / ${constant(one)}`
  const fraction = `CONVERT(float, ${whole} & ${constant(one - 1n)}) / CONVERT(float, ${constant(one)})`
  const power = (of: string): string => `POWER(CONVERT(float, 2), ${of})`
  return `CASE WHEN ${whole} < 0 THEN CONVERT(float, -1) ELSE CONVERT(float, 1) END * CASE WHEN ${exponent} = 0 THEN ${fraction} * ${power(String(1 - bias))} ELSE (CONVERT(float, 1) + ${fraction}) * ${power(`CONVERT(int, ${exponent}) - ${bias}`)} END`
}

/** The variant of a cell of this form, from the nvarchar `cell`. Nothing is cut: the value had this very type. */
function variantSql(form: VariantForm, cell: string): string {
  const value = `SUBSTRING(${cell}, ${form.prefix.length + 1}, 16000)`
  return `CONVERT(sql_variant, ${typed(form, value)})`
}

function typed({ type, name, collation }: VariantForm, value: string): string {
  switch (name) {
    case 'money':
    case 'smallmoney':
      return `CONVERT(${type}, CONVERT(decimal(19,4), ${value}))`
    case 'float':
      return ieee(value, 'bigint', 52, 1023)
    case 'real':
      return `CONVERT(real, ${ieee(value, 'int', 23, 127)})`
    case 'date':
      return `CONVERT(${type}, ${value}, 23)`
    case 'smalldatetime':
      return `CONVERT(${type}, ${value}, 120)`
    case 'time':
    case 'datetime':
    case 'datetime2':
    case 'datetimeoffset':
      return `CONVERT(${type}, ${value}, 121)`
    case 'binary':
    case 'varbinary':
      return `CONVERT(${type}, ${value}, 2)`
    default:
      // The collation of a text that is converted to text stays ("CAST and CONVERT (Transact-SQL)", Remarks), and gives the code page.
      return `CONVERT(${type}, ${collation === undefined ? value : `${value} COLLATE ${collation}`})`
  }
}

/** The variant of a cell that has one of these forms; any other is an error of the conversion, never NULL. */
function variantAmong(forms: readonly VariantForm[], cell: string): string {
  if (forms.length === 0) return `CONVERT(sql_variant, CONVERT(int, ${cell}))`
  const own = forms.map(
    (form) =>
      `WHEN LEFT(${cell}, ${form.prefix.length}) COLLATE Latin1_General_BIN2 = N'${form.prefix}' THEN ${variantSql(form, cell)}`,
  )
  return `CASE ${own.join('\n ')}\n ELSE CONVERT(sql_variant, CONVERT(int, ${cell})) END`
}

/** True for a column whose values each have a type of their own. */
export const isVariant = (column: Column): boolean => column.codec === 'sql_variant'

/**
 * A parameter as `writeExpression` and `compareExpression` take it: as it stands, but of a sql_variant, whose SQL hangs on its `cell`, made
 * one.
 */
export function arriving(column: Column, parameter: string, cell: Cell): string {
  if (!isVariant(column)) return parameter
  const form = formOf(cell)
  return form === undefined ? `CONVERT(sql_variant, ${parameter})` : variantSql(form, parameter)
}

/** The parameters of a row, from `first` on, each as `arriving`. */
export const arrivingRow = (columns: readonly Column[], cells: readonly Cell[], first: number): readonly string[] =>
  columns.map((column, index) => arriving(column, `@p${first + index}`, cells[index] ?? null))

/** The forms of the values in each column of sql_variant. */
export type VariantForms = ReadonlyMap<Column, readonly VariantForm[]>

/** Branches of one CASE; several hundred may be nested too deeply for the server (error 191). */
const MOST_FORMS = 100

type FormsByPrefix = ReadonlyMap<string, VariantForm>

/**
 * The rows, in parts that have few enough forms in each column of sql_variant, and one collation there, since an expression has but one
 * ("Collation Precedence (Transact-SQL)"). In their order, or where `anyOrder` with those of like collations together; in one part where
 * there is no sql_variant.
 */
export function* byForms(
  columns: readonly Column[],
  rows: readonly Row[],
  anyOrder = false,
): Generator<{ readonly rows: readonly Row[]; readonly forms: VariantForms }> {
  const places = columns.flatMap((column, at) => (isVariant(column) ? [at] : []))
  if (places.length === 0) {
    if (rows.length > 0) yield { rows, forms: new Map() }
    return
  }
  const formed = rows.map((row) => ({ row, forms: places.map((at) => formOf(row[at] ?? null)) }))
  const collations = (forms: readonly (VariantForm | undefined)[]): string => forms.map((form) => form?.collation ?? '').join(' ')
  const ordered = anyOrder ? [...Map.groupBy(formed, ({ forms }) => collations(forms)).values()].flat() : formed
  const named = (known: readonly FormsByPrefix[]): VariantForms =>
    new Map(columns.filter(isVariant).map((column, place) => [column, [...(known[place]?.values() ?? [])]]))
  let part: Row[] = []
  let known: readonly Map<string, VariantForm>[] = places.map(() => new Map())
  for (const { row, forms } of ordered) {
    if (forms.some((form, place) => form !== undefined && !fits(form, known[place] ?? new Map()))) {
      yield { rows: part, forms: named(known) }
      part = []
      known = places.map(() => new Map())
    }
    part.push(row)
    for (const [place, form] of forms.entries()) if (form !== undefined) known[place]?.set(form.prefix, form)
  }
  if (part.length > 0) yield { rows: part, forms: named(known) }
}

function fits(form: VariantForm, known: FormsByPrefix): boolean {
  if (known.has(form.prefix)) return true
  const others = [...known.values()].flatMap(({ collation }) => collation ?? [])
  return known.size < MOST_FORMS && (form.collation === undefined || others.every((other) => other === form.collation))
}

/** As `arriving`, of a column of a table in which each row has one of these forms. */
export const arrivingAmong = (column: Column, reference: string, forms: readonly VariantForm[]): string =>
  isVariant(column) ? variantAmong(forms, reference) : reference

/** The cell; refuses a value of a type that couldn't be written, as it is read. */
export function variantCell(cell: Cell): Cell {
  formOf(cell)
  return cell
}
