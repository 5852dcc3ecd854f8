import { named, notOfExtension, SHOP_SCHEMA } from './catalog.ts'

const ROUTINE = `format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))`

const ROUTINES = `SELECT ${named('pg_proc', 'p.oid', `CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END`)},
  format('%s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
  pg_get_functiondef(p.oid) AS sql,
  format('DROP %s %s', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, ${ROUTINE}) AS undo
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE ${SHOP_SCHEMA} AND p.prokind IN ('f', 'p', 'w') AND ${notOfExtension('pg_proc', 'p.oid')}
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
ORDER BY 3`

/** A function's name as CREATE AGGREGATE and CREATE OPERATOR want it: without arguments. */
const functionName = (oid: string): string =>
  `(SELECT format('%I.%I', fn.nspname, f.proname) FROM pg_proc f JOIN pg_namespace fn ON fn.oid = f.pronamespace WHERE f.oid = ${oid})`

const operatorName = (oid: string): string =>
  `(SELECT format('OPERATOR(%I.%s)', tn.nspname, t.oprname) FROM pg_operator t JOIN pg_namespace tn ON tn.oid = t.oprnamespace WHERE t.oid = ${oid})`

/** What happens to the state in the final function, as CREATE AGGREGATE spells it. */
const MODIFY = (column: string, name: string, finalFunction: string): string =>
  `CASE WHEN ${finalFunction} <> 0 THEN '${name} = ' || CASE ${column} WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END`

/** PostgreSQL documentation, "CREATE AGGREGATE" and "pg_aggregate". */
const AGGREGATES = `SELECT ${named('pg_proc', 'p.oid', 'aggregate')},
  format('%s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name,
  format('CREATE AGGREGATE %I.%I(%s) (%s)', n.nspname, p.proname,
    CASE WHEN p.pronargs = 0 THEN '*' ELSE pg_get_function_arguments(p.oid) END, concat_ws(', ',
    'SFUNC = ' || ${functionName('g.aggtransfn')}, 'STYPE = ' || format_type(g.aggtranstype, NULL),
    CASE WHEN g.aggtransspace <> 0 THEN 'SSPACE = ' || g.aggtransspace END,
    'FINALFUNC = ' || ${functionName('g.aggfinalfn')}, CASE WHEN g.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
    ${MODIFY('g.aggfinalmodify', 'FINALFUNC_MODIFY', 'g.aggfinalfn')},
    'COMBINEFUNC = ' || ${functionName('g.aggcombinefn')}, 'SERIALFUNC = ' || ${functionName('g.aggserialfn')},
    'DESERIALFUNC = ' || ${functionName('g.aggdeserialfn')}, 'INITCOND = ' || quote_literal(g.agginitval),
    'MSFUNC = ' || ${functionName('g.aggmtransfn')}, 'MINVFUNC = ' || ${functionName('g.aggminvtransfn')},
    CASE WHEN g.aggmtranstype <> 0 THEN 'MSTYPE = ' || format_type(g.aggmtranstype, NULL) END,
    CASE WHEN g.aggmtransspace <> 0 THEN 'MSSPACE = ' || g.aggmtransspace END,
    'MFINALFUNC = ' || ${functionName('g.aggmfinalfn')}, CASE WHEN g.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
    ${MODIFY('g.aggmfinalmodify', 'MFINALFUNC_MODIFY', 'g.aggmfinalfn')}, 'MINITCOND = ' || quote_literal(g.aggminitval),
    'SORTOP = ' || ${operatorName('g.aggsortop')},
    CASE p.proparallel WHEN 's' THEN 'PARALLEL = SAFE' WHEN 'r' THEN 'PARALLEL = RESTRICTED' END,
    CASE g.aggkind WHEN 'h' THEN 'HYPOTHETICAL' END)) AS sql,
  format('DROP AGGREGATE %I.%I(%s)', n.nspname, p.proname,
    CASE WHEN p.pronargs = 0 THEN '*' ELSE pg_get_function_identity_arguments(p.oid) END) AS undo
FROM pg_aggregate g JOIN pg_proc p ON p.oid = g.aggfnoid JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE ${SHOP_SCHEMA} AND ${notOfExtension('pg_proc', 'p.oid')} ORDER BY 3`

/** PostgreSQL documentation, "CREATE OPERATOR". A commutator or negator that isn't there yet is noted by the server and filled in later. */
const OPERATORS = `SELECT ${named('pg_operator', 'o.oid', 'operator')},
  format('%s.%s(%s,%s)', n.nspname, o.oprname, format_type(nullif(o.oprleft, 0), NULL), format_type(nullif(o.oprright, 0), NULL)) AS name,
  format('CREATE OPERATOR %I.%s (%s)', n.nspname, o.oprname, concat_ws(', ', 'PROCEDURE = ' || ${functionName('o.oprcode')},
    CASE WHEN o.oprleft <> 0 THEN 'LEFTARG = ' || format_type(o.oprleft, NULL) END,
    CASE WHEN o.oprright <> 0 THEN 'RIGHTARG = ' || format_type(o.oprright, NULL) END,
    'COMMUTATOR = ' || ${operatorName('o.oprcom')}, 'NEGATOR = ' || ${operatorName('o.oprnegate')},
    'RESTRICT = ' || ${functionName('o.oprrest')}, 'JOIN = ' || ${functionName('o.oprjoin')},
    CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END)) AS sql,
  format('DROP OPERATOR IF EXISTS %I.%s (%s, %s)', n.nspname, o.oprname, coalesce(format_type(nullif(o.oprleft, 0), NULL), 'NONE'),
    coalesce(format_type(nullif(o.oprright, 0), NULL), 'NONE')) AS undo
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
WHERE o.oprcode <> 0 AND ${SHOP_SCHEMA} AND ${notOfExtension('pg_operator', 'o.oid')} ORDER BY 3`

const CAST = `format('(%s AS %s)', format_type(x.castsource, NULL), format_type(x.casttarget, NULL))`

/** Oids below 16384 are the server's own (PostgreSQL documentation, "System Catalog Initial Data"). A range's casts come with it. */
const CASTS = `SELECT ${named('pg_cast', 'x.oid', 'cast')}, ${CAST} AS name,
  format('CREATE CAST %s %s%s', ${CAST}, CASE x.castmethod WHEN 'i' THEN 'WITH INOUT' WHEN 'b' THEN 'WITHOUT FUNCTION'
    ELSE (SELECT format('WITH FUNCTION %I.%I(%s)', fn.nspname, f.proname, pg_get_function_identity_arguments(f.oid)) FROM pg_proc f
      JOIN pg_namespace fn ON fn.oid = f.pronamespace WHERE f.oid = x.castfunc) END,
    CASE x.castcontext WHEN 'a' THEN ' AS ASSIGNMENT' WHEN 'i' THEN ' AS IMPLICIT' END) AS sql,
  format('DROP CAST %s', ${CAST}) AS undo
FROM pg_cast x WHERE x.oid >= 16384 AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = 'pg_cast'::regclass AND e.objid = x.oid
  AND e.deptype IN ('e', 'i')) ORDER BY 3`

/** Casts and operators first: what is written with them doesn't always say that it needs them. */
export const ROUTINE_QUERIES: readonly string[] = [CASTS, OPERATORS, ROUTINES, AGGREGATES]
