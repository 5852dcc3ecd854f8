/** Always deterministic, whatever the session ("Deterministic and Nondeterministic Functions"; of text all but FORMAT); and words before a bracket. */
const SAFE: ReadonlySet<string> = new Set(
  `abs acos asin atan atn2 ceiling coalesce cos cot datediff dateadd datalength day degrees exp floor isnull isnumeric log log10 month
nullif power radians round sign sin square sqrt tan year
ascii char charindex concat concat_ws difference left len lower ltrim nchar patindex quotename replace replicate reverse right rtrim soundex
space str stuff substring translate trim unicode upper
and or not like in is between escape case when then else end null collate`.split(/\s+/),
)

const TEXT = /N?'(?:[^']|'')*'/g
const BRACKETED = /\[(?:[^\]]|\]\])*\]/g
const CALL = /([\p{L}_@#$][\p{L}\p{N}_@#$]*|\[\])\s*\(/gu
/** Functions that take no brackets, and @@DATEFIRST and its like. */
const BARE = /@@|\b(?:current_timestamp|current_user|session_user|system_user|user)\b/i

/**
 * Whether what an expression says of a row may be otherwise another day, for another account or after other rows have changed: it asks for the
 * time, or calls a function of the shop's. Of any function that isn't known not to, it may.
 */
export function mayChange(expression: string): boolean {
  const bare = expression.replaceAll(TEXT, "''").replaceAll(BRACKETED, '[]')
  return BARE.test(bare) || [...bare.matchAll(CALL)].some(([, name = '']) => !SAFE.has(name.toLowerCase()))
}
