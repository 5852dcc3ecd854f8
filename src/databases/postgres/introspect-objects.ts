import { z } from 'zod'
import { anyColumn, ask, type CatalogObject, objectRow } from './catalog.ts'
import type { Session } from './connection.ts'
import { ROUTINE_QUERIES } from './objects-routines.ts'
import { OF_TABLES, OPTIONS } from './objects-tables.ts'
import { FOUNDATIONS } from './objects-types.ts'
import { LATE, VIEWS } from './objects-views.ts'

/** Objects that nothing outside this adapter looks into, by when they are created; within a group, the order is found elsewhere. */
export interface CatalogObjects {
  /** Always before the first table. */
  readonly foundations: readonly CatalogObject[]
  /** Whenever something needs them, else with the views. */
  readonly routines: readonly CatalogObject[]
  /** Parts of one table each, right after the rows, in this order. */
  readonly ofTables: readonly CatalogObject[]
  /** With the indexes of materialized views. */
  readonly views: readonly CatalogObject[]
  /** Once everything that they could need is there, in this order. */
  readonly last: readonly CatalogObject[]
}

export async function readObjects(session: Session): Promise<CatalogObjects> {
  const read = async (queries: readonly string[]): Promise<readonly CatalogObject[]> => {
    const objects: CatalogObject[] = []
    for (const sql of queries) objects.push(...(await ask(session, objectRow, sql)))
    return objects
  }
  const parts = await read(OF_TABLES)
  const ofViews = (object: CatalogObject): boolean => object.kind === 'materialized view index'
  return {
    foundations: await read(FOUNDATIONS),
    routines: await read(ROUTINE_QUERIES),
    ofTables: parts.filter((object) => !ofViews(object)),
    views: [...(await read([VIEWS])), ...parts.filter(ofViews)],
    last: await read([...OPTIONS, ...LATE]),
  }
}

const edgeRow = z.object({ from: z.string(), to: z.string() })

/** Which catalog row stands for a part: a view's rule for the view, an array for its element, a row type for its table. */
const OWNER = (catalog: string, oid: string): string => `coalesce(
  CASE ${catalog}
    WHEN 'pg_rewrite'::regclass THEN (SELECT 'pg_class ' || ev_class FROM pg_rewrite WHERE oid = ${oid} AND rulename = '_RETURN')
    WHEN 'pg_attrdef'::regclass THEN (SELECT 'pg_class ' || adrelid FROM pg_attrdef WHERE oid = ${oid})
    WHEN 'pg_constraint'::regclass THEN (SELECT 'pg_type ' || contypid FROM pg_constraint WHERE oid = ${oid} AND contypid <> 0)
    WHEN 'pg_class'::regclass THEN (SELECT 'pg_type ' || reltype FROM pg_class WHERE oid = ${oid} AND relkind = 'c')
    WHEN 'pg_type'::regclass THEN (SELECT CASE
        WHEN t.typtype = 'm' THEN (SELECT 'pg_type ' || rngtypid FROM pg_range r WHERE ${anyColumn('r', 'rngmultitypid')} = t.oid::text)
        WHEN coalesce(e.typrelid, t.typrelid) <> 0 AND k.relkind <> 'c' THEN 'pg_class ' || k.oid
        WHEN e.oid IS NOT NULL THEN 'pg_type ' || e.oid END
      FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typlen = -1 AND e.typarray = t.oid
      LEFT JOIN pg_class k ON k.oid = coalesce(e.typrelid, t.typrelid) WHERE t.oid = ${oid})
  END, ${catalog}::regclass || ' ' || ${oid})`

const EDGES = `SELECT DISTINCT ${OWNER('d.classid', 'd.objid')} AS "from", ${OWNER('d.refclassid', 'd.refobjid')} AS "to"
FROM pg_depend d WHERE d.objid >= 16384 AND d.refobjid >= 16384 AND d.deptype IN ('n', 'a', 'i')
  AND NOT (d.classid = 'pg_class'::regclass AND EXISTS (SELECT 1 FROM pg_sequence q WHERE q.seqrelid = d.objid) AND d.refobjsubid > 0)`

/** Which object needs which other to be there before it, by their ids (`CatalogObject.id`; tables as `pg_class OID`). */
export async function readDependencies(session: Session): Promise<ReadonlyMap<string, readonly string[]>> {
  const needs = new Map<string, string[]>()
  for (const { from, to } of await ask(session, edgeRow, EDGES)) {
    if (from === to) continue
    const known = needs.get(from)
    if (known === undefined) needs.set(from, [to])
    else known.push(to)
  }
  return needs
}
