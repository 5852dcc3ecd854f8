import { z } from 'zod'
import { type CatalogColumns, type CatalogView, catalogColumns } from './catalog.ts'
import type { Session } from './session.ts'

/** As the catalog names them; empty where it doesn't tell. */
export interface LoginLanguage {
  readonly language: string
  /** The order of a date's parts in text, as SET DATEFORMAT names it: `dmy`. */
  readonly dateFormat: string
}

/** Where a default language stands, the first that has one first: of the login, else of a contained database's own user. */
const SOURCES: readonly (readonly [view: CatalogView, name: string])[] = [
  ['server_principals', 'SUSER_SNAME()'],
  ['database_principals', 'USER_NAME()'],
]

/**
 * The language in which this account's sessions begin, which gives dates their order ("CREATE LOGIN", "CREATE USER", DEFAULT_LANGUAGE;
 * "sys.syslanguages"). Not @@LANGUAGE: our driver asks for one of its own. Azure SQL Database hasn't got every one of these views.
 */
export async function languageOf(session: Session): Promise<LoginLanguage> {
  const known = await catalogColumns(session)
  const asked = SOURCES.filter(([view]) => known.has(`${view}.default_language_name`))
  for (const [view, name] of asked) {
    const [row] = await session.ask(
      z.object({ language: z.string().nullable() }),
      `SELECT CONVERT(nvarchar(128), p.default_language_name) AS [language] FROM sys.${view} p WHERE p.name = ${name}`,
    )
    if (row?.language) return { language: row.language, dateFormat: await dateFormatOf(session, row.language, known) }
  }
  return { language: '', dateFormat: '' }
}

async function dateFormatOf(session: Session, language: string, known: CatalogColumns): Promise<string> {
  if (!known.has('syslanguages.dateformat')) return ''
  const rows = await session.ask(
    z.object({ format: z.string().nullable() }),
    'SELECT CONVERT(nvarchar(3), l.dateformat) AS [format] FROM sys.syslanguages l WHERE l.name = @p0 ORDER BY l.langid',
    [language],
  )
  return rows[0]?.format ?? ''
}
