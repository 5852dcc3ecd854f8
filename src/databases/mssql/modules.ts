import type { SchemaObject, TableName } from '../schema.ts'
import { fullName } from '../schema.ts'
import { BLANK, NAME, quoteName, quoteTable, quoteText } from './names.ts'

/** A view, function, procedure or trigger with its text as sys.sql_modules keeps it. */
export interface Module {
  readonly kind: 'view' | 'function' | 'procedure' | 'trigger'
  readonly name: TableName
  readonly definition: string
  readonly ansiNulls: boolean
  readonly quotedIdentifier: boolean
  /** The table or view of a trigger. */
  readonly on: TableName | null
  readonly disabled: boolean
  /** Events of a trigger that runs before or after all others of its table, where that was set. */
  readonly order?: readonly { readonly place: 'First' | 'Last'; readonly event: string }[]
}

const HEADER = new RegExp(
  `^(${BLANK}*)CREATE${BLANK}+(?:OR${BLANK}+ALTER${BLANK}+)?(VIEW|PROC(?:EDURE)?|FUNCTION|TRIGGER)${BLANK}+${NAME}`,
  'iu',
)
const ON_TABLE = new RegExp(`^(${BLANK}+ON${BLANK}+)${NAME}`, 'iu')

/**
 * The text with the object's present name in its header: sp_rename leaves the old one there ("sp_rename (Transact-SQL)", remarks), and
 * a name without a schema would be looked for in the account's default schema. So would the name of a trigger's table.
 */
export function withPresentName(module: Pick<Module, 'definition' | 'name' | 'on'>): string {
  const header = HEADER.exec(module.definition)
  if (header === null) return module.definition
  const [all, blank = '', kind = ''] = header
  const rest = module.definition.slice(all.length)
  const { on } = module
  const body = on === null ? rest : rest.replace(ON_TABLE, (_all, word: string) => `${word}${quoteTable(on)}`)
  return `${blank}CREATE ${kind.toUpperCase()} ${quoteTable(module.name)}${body}`
}

/**
 * The statement that creates it. CREATE VIEW and its like must stand alone in a batch, and keep the SET options under which they
 * were created: where these aren't ON, the statement runs as a batch within one that sets them. QUOTED_IDENTIFIER counts from where
 * it is parsed, so no SET … ON may follow; the options fall back with the end of the outer EXEC ("SET Statements (Transact-SQL)").
 */
export function moduleSql(module: Module): string {
  const sql = withPresentName(module)
  if (module.ansiNulls && module.quotedIdentifier) return sql
  const options = [...(module.ansiNulls ? [] : ['ANSI_NULLS']), ...(module.quotedIdentifier ? [] : ['QUOTED_IDENTIFIER'])]
  const set = options.map((option) => `SET ${option} OFF;\n`).join('')
  return `EXEC (${quoteText(`${set}EXEC (${quoteText(sql)});`)})`
}

const KINDS = { view: 'VIEW', function: 'FUNCTION', procedure: 'PROCEDURE', trigger: 'TRIGGER' } as const

/** The objects that make a module. `before`: it must stand before the tables, since one of them computes with it. */
export function moduleObjects(module: Module, before: boolean): readonly SchemaObject[] {
  const create: SchemaObject = {
    kind: module.kind,
    name: fullName(module.name),
    stage: before ? 'before' : 'after',
    sql: moduleSql(module),
    undo: module.kind === 'trigger' ? null : `DROP ${KINDS[module.kind]} ${quoteTable(module.name)}`,
  }
  const order = (module.order ?? []).map((each): SchemaObject => orderObject(module.name, each.place, each.event))
  if (!module.disabled || module.on === null) return [create, ...order]
  const disable: SchemaObject = {
    kind: 'disabled trigger',
    name: fullName(module.name),
    stage: 'after',
    sql: `DISABLE TRIGGER ${quoteTable(module.name)} ON ${quoteTable(module.on)}`,
    undo: null,
  }
  return [create, ...order, disable]
}

const orderObject = (trigger: TableName, place: 'First' | 'Last', event: string): SchemaObject => ({
  kind: 'trigger order',
  name: `${fullName(trigger)} ${place} ${event}`,
  stage: 'after',
  sql: `EXEC sp_settriggerorder @triggername = ${quoteText(quoteTable(trigger))}, @order = N'${place}', @stmttype = ${quoteText(event)}`,
  undo: null,
})

/**
 * Views and functions so that each comes after those whose names stand in its text; then procedures, then triggers, whose names the
 * server looks up only when they run ("Deferred name resolution"). A name that only stands in a comment costs nothing; a circle is
 * left in the order given.
 */
export function inOrder(modules: readonly Module[]): readonly Module[] {
  const eager = modules.filter((module) => module.kind === 'view' || module.kind === 'function')
  const sorted: Module[] = []
  const state = new Map<Module, 'open' | 'done'>()
  const visit = (module: Module): void => {
    if (state.has(module)) return
    state.set(module, 'open')
    for (const other of eager) if (other !== module && mentions(module.definition, other.name.name)) visit(other)
    state.set(module, 'done')
    sorted.push(module)
  }
  eager.forEach(visit)
  const late = (kind: Module['kind']): readonly Module[] => modules.filter((module) => module.kind === kind)
  return [...sorted, ...late('procedure'), ...late('trigger')]
}

/** True when SQL text has this name in it as a word, quoted or not, in any case of letters. */
export function mentions(sql: string, name: string): boolean {
  const text = sql.toLowerCase()
  if (text.includes(quoteName(name).toLowerCase())) return true
  const wanted = name.toLowerCase()
  const isWord = (character: string | undefined): boolean => character !== undefined && /[\p{L}\p{N}_@#$]/u.test(character)
  for (let at = text.indexOf(wanted); at !== -1; at = text.indexOf(wanted, at + 1)) {
    if (!isWord(text[at - 1]) && !isWord(text[at + wanted.length])) return true
  }
  return false
}
