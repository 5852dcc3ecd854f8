import { z } from 'zod'
import { type Finding, MigrateError } from '../../base/errors.ts'
import type { Schema } from '../schema.ts'
import { chunks, rowsPerStatement } from './keys.ts'
import type { Session } from './session.ts'

/** "sys.dm_exec_describe_first_result_set (Transact-SQL)": what a statement would give, without running it; asks for the right to run it alone. */
const DESCRIBE = 'sys.dm_exec_describe_first_result_set'

/**
 * What makes a view fail when it is made anew, too: a column, table or function that isn't there (207, 208, 4104, 4121), more names than columns
 * (4502), or one of these beneath it (4413). A view is looked up when it is made; only procedures may name what isn't there yet ("Deferred name
 * resolution").
 */
const GONE = [207, 208, 4104, 4121, 4413, 4502]

/** A view of another server's rows is left alone: to describe it, that server would be asked, which may be gone. */
const FAR = /\bOPEN(?:QUERY|ROWSET|DATASOURCE)\b|\.[^.\s]*\.[^.\s]*\.[^.\s]/i

const brokenRow = z.object({ place: z.number(), message: z.string().nullable() })

interface View {
  /** As messages have it, and quoted. */
  readonly name: string
  readonly quoted: string
}

const viewsOf = ({ objects }: Pick<Schema, 'objects'>): readonly View[] =>
  objects.flatMap(({ kind, name, sql, undo }) => {
    const quoted = kind === 'view' && !FAR.test(sql) ? /^DROP VIEW (.+)$/.exec(undo ?? '')?.[1] : undefined
    return quoted === undefined ? [] : [{ name, quoted }]
  })

/** See the port: views whose tables or columns were dropped or changed. */
export async function brokenViews(session: Session, schema: Pick<Schema, 'objects'>): Promise<readonly Finding[]> {
  const views = viewsOf(schema)
  if (views.length === 0) return []
  const [found] = await session.ask(z.object({ id: z.number().nullable() }), `SELECT OBJECT_ID(N'${DESCRIBE}') AS [id]`)
  if (found?.id == null) return []
  const findings: Finding[] = []
  try {
    for (const chunk of chunks(views, rowsPerStatement(1))) {
      const texts = chunk.map(({ quoted }) => `SELECT * FROM ${quoted}`)
      const rows = await session.ask(
        brokenRow,
        `SELECT v.place AS [place], CONVERT(nvarchar(400), r.error_message) AS [message]
FROM (VALUES ${texts.map((_, place) => `(${place}, @p${place})`).join(', ')}) AS v(place, text)
CROSS APPLY ${DESCRIBE}(v.text, NULL, 0) AS r WHERE r.error_number IN (${GONE.join(', ')})`,
        texts,
      )
      for (const { place, message } of rows) {
        const view = chunk[place]
        if (view !== undefined) findings.push(brokenView(view, message ?? ''))
      }
    }
  } catch (error) {
    if (!(error instanceof MigrateError) || error.code !== 'database-timeout') throw error
    findings.push(UNTRIED)
  }
  return findings
}

const brokenView = ({ name, quoted }: View, words: string): Finding => ({
  severity: 'error',
  code: 'view-broken',
  message: `The view ${name} doesn't work on the old host any more: ${words} It can't be made on the new one.`,
  hint: `Mend it there, or drop what nobody can use: DROP VIEW ${quoted};`,
})

const UNTRIED: Finding = {
  severity: 'info',
  code: 'views-not-tried',
  message: 'Whether all views still work couldn’t be found out in the time that a question is given.',
  hint: 'One that doesn’t stops restore-database when it is made, with all rows loaded; it goes on once the view was mended or dropped there.',
}
