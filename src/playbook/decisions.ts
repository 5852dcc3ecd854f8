import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { readDocument } from './document.ts'
import { checked, isMapping } from './issues.ts'
import { PlaybookError, type Problem } from './problems.ts'
import type { Position, Value } from './source.ts'
import { readText } from './text.ts'

/** What a person may decide about a parked row: one host's version, the row that it collides with, or neither. */
export const takes = ['old', 'new', 'merge', 'skip'] as const
export type Take = (typeof takes)[number]

/** The same about a parked file: `both` keeps the one beside the other, under another name. */
export const fileTakes = ['old', 'new', 'both', 'skip'] as const
export type FileTake = (typeof fileTakes)[number]

/** One line of a file of decisions, about a file. */
export interface WrittenFileDecision extends Position {
  readonly file: string
  readonly take: FileTake
}

/** The same about a row. */
export interface WrittenRowDecision extends Position {
  /** As written: with or without its schema, in any case of letters. */
  readonly table: string
  /** Digit by digit as written: one text, of several columns with commas between, or one text for each column. */
  readonly key: string | readonly string[]
  readonly take: Take
}

export type WrittenDecision = WrittenRowDecision | WrittenFileDecision

const EXAMPLE = 'Write it like  - { table: Orders, key: 10499, take: old }.'
const text = z.string().min(1)
const decisionSchema = z.strictObject(
  {
    table: text,
    key: z.union([text, z.array(text).min(1)], { error: 'must be the key of a row, as in 10499 or [10, 1]' }),
    take: z.enum(takes),
  },
  { error: (issue) => (issue.code === 'invalid_type' ? `is no decision\n${EXAMPLE}` : undefined) },
)

const fileDecisionSchema = z.strictObject({ file: text, take: z.enum(fileTakes) })

/**
 * Reads a YAML list of decisions about parked rows and files; `file` is named in messages. Every value is taken as the text that stands there,
 * so that a key of 20 digits keeps them all.
 * Throws PlaybookError (`decisions-invalid`) with everything that is wrong, each with line and column; `decisions-missing`,
 * `decisions-unreadable` or `decisions-too-large` when there is no text to look at. All end as `usage`.
 */
export async function loadDecisions(file: string): Promise<readonly WrittenDecision[]> {
  return parseDecisions(await readText(file, 'decisions'), file)
}

/** The same for a text. */
export function parseDecisions(written: string, file: string): readonly WrittenDecision[] {
  const { source, value } = readDocument(written, { env: {}, directory: dirname(resolve(file)), asWritten: true })
  const decisions: WrittenDecision[] = []
  if (value !== undefined && !isList(value)) {
    source.complain([], value === null || value === '' ? 'No decision stands here.' : 'Decisions are a list.', EXAMPLE)
  }
  const first = new Map<string, number>()
  for (const [index, item] of (isList(value) ? value : []).entries()) {
    const isFile = isMapping(item) && Object.hasOwn(item, 'file')
    const schema = isFile ? fileDecisionSchema : decisionSchema
    const decision = checked<z.infer<typeof fileDecisionSchema> | z.infer<typeof decisionSchema>>(
      schema,
      item,
      [index],
      source,
      `decision ${index + 1}`,
    )
    if (decision === undefined) continue
    const place = source.position([index])
    const [what, name] =
      'file' in decision
        ? ['file', `file ${decision.file}`]
        : ['row', `${decision.table.toLowerCase()} ${JSON.stringify([decision.key].flat())}`]
    const other = first.get(name)
    if (other === undefined) first.set(name, place.line)
    else source.complain([index], `The same ${what} is decided twice, first in line ${other}.`, 'Keep one of the two.')
    decisions.push({ ...decision, ...place })
  }
  if (source.problems.length > 0) throw decisionsError(file, source.problems)
  return decisions
}

export const decisionsError = (file: string, problems: readonly Problem[]): PlaybookError =>
  new PlaybookError(file, problems, 'decisions')

const isList = (value: Value | undefined): value is readonly Value[] => Array.isArray(value)
