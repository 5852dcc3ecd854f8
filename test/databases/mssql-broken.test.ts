import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { brokenViews } from '../../src/databases/mssql/broken.ts'
import { type Module, moduleObjects } from '../../src/databases/mssql/modules.ts'
import { answered } from './mssql-answers.ts'

const module = (name: string, definition: string, kind: Module['kind'] = 'view') =>
  moduleObjects(
    { kind, name: { schema: 'dbo', name }, definition, ansiNulls: true, quotedIdentifier: true, on: null, disabled: false },
    false,
  )
const stale = module('stale', 'CREATE VIEW stale AS SELECT gone FROM dbo.Orders')
const sound = module('sound', 'CREATE VIEW sound AS SELECT id FROM dbo.Orders')
const far = module('far', 'CREATE VIEW far AS SELECT * FROM elsewhere.shop.dbo.Orders')
const opened = module('opened', "CREATE VIEW opened AS SELECT * FROM OPENQUERY(elsewhere, 'SELECT 1 AS one')")
const procedure = module('later', 'CREATE PROCEDURE later AS SELECT * FROM dbo.NotYet', 'procedure')

describe('views of the old host', () => {
  const asking = (id: number | null, answer: () => readonly { readonly place: number; readonly message: string }[]) =>
    answered([/CROSS APPLY/, answer], [/OBJECT_ID/, [{ id }]])

  it('that no longer work are told before a move would stop at them, with the server’s own words', async () => {
    const { session, asked } = asking(-1, () => [{ place: 1, message: "Invalid column name 'gone'." }])
    const findings = await brokenViews(session, { objects: [far, sound, procedure, stale, opened].flat() })
    expect(findings).toMatchObject([
      {
        severity: 'error',
        code: 'view-broken',
        message:
          "The view dbo.stale doesn't work on the old host any more: Invalid column name 'gone'. It can't be made on the new one.",
        hint: 'Mend it there, or drop what nobody can use: DROP VIEW [dbo].[stale];',
      },
    ])
    // Of the two that are of this server; nothing far away is asked, nor what names things only when it runs.
    expect(asked.at(-1)).toContain('(VALUES (0, @p0), (1, @p1)) AS v(place, text)')
  })

  it('aren’t looked at where a server can’t describe them, or where there are none', async () => {
    const lesser = asking(null, () => [{ place: 0, message: 'no' }])
    expect(await brokenViews(lesser.session, { objects: [stale].flat() })).toEqual([])
    const none = asking(-1, () => [{ place: 0, message: 'no' }])
    expect(await brokenViews(none.session, { objects: [procedure, far].flat() })).toEqual([])
    expect(none.asked).toEqual([])
  })

  it('that take too long to be looked at are told as such, and any other error is one', async () => {
    const failing = (code: string) =>
      asking(-1, () => {
        throw new MigrateError(code, 'no')
      })
    expect(await brokenViews(failing('database-timeout').session, { objects: [stale].flat() })).toMatchObject([
      { severity: 'info', code: 'views-not-tried' },
    ])
    await expect(brokenViews(failing('database-connection-lost').session, { objects: [stale].flat() })).rejects.toThrow('no')
  })
})
