import { describe, expect, it } from 'vitest'
import { fullTextFindings } from '../../src/databases/mssql/full-text.ts'

const code = (name: string, definition: string) => ({ kind: 'procedure' as const, name: { schema: 'dbo', name }, definition })
const search = code('Search', 'CREATE PROCEDURE dbo.Search @q nvarchar(99) AS SELECT id FROM Products WHERE CONTAINS (name, @q)')

describe('code that searches by a full-text index', () => {
  it('is named before a move, since the new host may refuse it where the rows stand already', () => {
    const [finding] = fullTextFindings([code('Other', 'CREATE PROCEDURE Other AS SELECT 1 AS one'), search])
    expect(finding).toMatchObject({ severity: 'warning', code: 'full-text-code' })
    expect(finding?.message).toMatch(/^procedure dbo\.Search searches by CONTAINS or FREETEXT\./)
    expect(finding?.hint).toContain('run again')
  })

  it.each([
    ['SELECT * FROM FREETEXTTABLE(Products, *, @q)', 1],
    ['SELECT * FROM Products p JOIN ContainsTable(Products, name, @q) k ON k.[key] = p.id', 1],
    ['SELECT 1 WHERE @shape.STContains(@other) = 1 OR @x.contains(1) = 1', 0],
    ["EXEC (N'SELECT * FROM Products WHERE CONTAINS(name, @q)')", 0],
    ['SELECT 1 -- CONTAINS (name, @q)\n/* FREETEXT(name, @q) */', 0],
    ['SELECT [contains](1), dbo.contains(1), contains_all(1)', 0],
  ])('is told from what only looks like it: %s', (text, count) => {
    expect(fullTextFindings([code('Some', `CREATE PROCEDURE Some AS ${text}`)])).toHaveLength(count)
  })
})
