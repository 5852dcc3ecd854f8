import type { Finding } from '../../base/errors.ts'
import { firstOf } from '../../base/units.ts'
import type { ServerInfo } from '../port.ts'
import type { Schema, SchemaObject } from '../schema.ts'
import { serverNumber } from './errors.ts'
import type { Session } from './session.ts'
import { withoutStrings } from './sql-text.ts'

/**
 * Functions that releases of MySQL have taken away ("Changes in MySQL 8.0", removed features; 9.7 has MD5 and SHA1 in a component that
 * isn't installed by itself). A server is asked which it lacks: a host may have brought one back.
 */
const GONE = [
  'MD5',
  'SHA1',
  'SHA',
  'PASSWORD',
  'OLD_PASSWORD',
  'ENCRYPT',
  'ENCODE',
  'DECODE',
  'DES_ENCRYPT',
  'DES_DECRYPT',
  'JSON_APPEND',
]
const IN_COMPONENT = new Set(['MD5', 'SHA1', 'SHA'])

/**
 * ER_SP_DOES_NOT_EXIST, or ER_PARSE_ERROR for a name that the grammar knew; ER_PROCACCESS_DENIED_ERROR where the account may run no routine,
 * which this one then would be. Of one that is there, at most its arguments are refused.
 */
const UNKNOWN = new Set([1305, 1064, 1370])

async function lackedOf(session: Session, names: readonly string[]): Promise<readonly string[]> {
  const lacked: string[] = []
  for (const name of names) {
    const number = await session.query(`SELECT ${name}('')`).then(
      () => undefined,
      (error: unknown) => {
        if (session.broken || serverNumber(error) === undefined) throw error
        return serverNumber(error)
      },
    )
    if (number !== undefined && UNKNOWN.has(number)) lacked.push(name)
  }
  return lacked
}

/** See the port, `furtherFacts`: functions that this server lacks, a comma between them. */
export const functionFacts = async (session: Session): Promise<Readonly<Record<string, string>>> => ({
  lackedFunctions: (await lackedOf(session, GONE)).join(','),
})

const hintFor = (names: readonly string[], otherwise: string): string =>
  names.length > 0 && names.every((name) => IN_COMPONENT.has(name))
    ? `Have the new host run: INSTALL COMPONENT 'file://component_classic_hashing';`
    : otherwise

/** What the shop's own programs ask of the server can't be looked at from here. Pure. */
export function functionConsequences({ facts: from }: ServerInfo, { facts: to }: ServerInfo): readonly Finding[] {
  const namesOf = (facts: ServerInfo['facts']): readonly string[] =>
    (facts?.lackedFunctions ?? '').split(',').filter((name) => name !== '')
  const before = new Set(namesOf(from))
  const lost = namesOf(to).filter((name) => !before.has(name))
  if (lost.length === 0 || from?.lackedFunctions === undefined) return []
  return [
    {
      severity: 'warning',
      code: 'functions-gone',
      message: `The new server doesn't know what the old one does: ${lost.map((name) => `${name}()`).join(', ')}. A statement of the shop's own programs that calls one of them in SQL fails there.`,
      hint: hintFor(
        lost.filter((name) => IN_COMPONENT.has(name)),
        'Look for them in the shop’s programs, and have the shop tried on the new host first (rehearse).',
      ),
    },
  ]
}

/** A call outside quotes. */
const callOf = (name: string): RegExp => new RegExp(String.raw`(?<![\w$\x60.@])${name}\(`, 'i')

/** What is refused when it is made, or when a row is written; the rest fails when it is called. */
const AT_ONCE = new Set(['table', 'view', 'trigger'])

/** Of the objects, those that call what the server of `session` lacks. */
export async function missingFunctions(session: Session, schema: Schema): Promise<readonly Finding[]> {
  const own = new Set(schema.objects.filter(({ kind }) => kind === 'function').map(({ name }) => name.toUpperCase()))
  const texts = schema.objects.map((object) => ({ object, text: withoutStrings(object.sql) }))
  const called = GONE.filter((name) => !own.has(name) && texts.some(({ text }) => callOf(name).test(text)))
  const lacked = await lackedOf(session, called)
  return texts.flatMap(({ object, text }): readonly Finding[] => {
    const names = lacked.filter((name) => callOf(name).test(text))
    return names.length === 0 ? [] : [missingFinding(object, names)]
  })
}

const missingFinding = ({ kind, name }: SchemaObject, functions: readonly string[]): Finding => ({
  severity: AT_ONCE.has(kind) ? 'error' : 'warning',
  code: 'function-missing',
  message: `The ${kind} ${name} calls ${firstOf(functions.map((each) => `${each}()`))}, which the new server doesn't know: ${kind === 'trigger' ? 'every row that fires it would be refused there' : AT_ONCE.has(kind) ? "it can't be made there" : 'it would fail there whenever it is called'}.`,
  hint: hintFor(functions, `Write the ${kind} without it on the old host first, or ask the new host for a release that has it.`),
})
