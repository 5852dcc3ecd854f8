import { z } from 'zod'
import { nearest } from '../base/nearest.ts'
import { type Topic, topics, usualTopics } from '../run/tell-topics.ts'
import { channels, type OpenChannel } from './channels.ts'
import { checked, isMapping } from './issues.ts'
import type { Reading } from './reading.ts'
import type { Path, Source, Value } from './source.ts'

const CODE = /^code:[a-z0-9]+(-[a-z0-9]+)*$/
const topicNames = Object.keys(topics) as Topic[]

const ownShape = {
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be a plain name\nUse letters, digits, - and _ only.')
    .optional()
    .meta({ description: 'By which the step notify calls it; its channel when left out' }),
  on: z
    .union([z.literal('all'), z.array(z.string().meta({ examples: [...topicNames] })).min(1)], {
      error: 'must be all, or a list of words',
    })
    .optional()
    .meta({
      description: `What it tells of: ${topicNames.join(', ')}, or code:NAME for one finding; all but errors and warnings when left out`,
    }),
}

/** `notify:`, for editors and the reference. */
export const notifySchema = z
  .array(z.union(Object.values(channels).map(({ shape }) => z.strictObject({ ...shape, ...ownShape }))))
  .meta({ description: 'Who is told while nobody looks, of what, and how: a list of hooks' })

/** One of `notify:`. */
export interface HookSettings {
  readonly name: string
  /** Words of `on:`; `all` is written out. */
  readonly on: readonly string[]
  readonly open: OpenChannel
}

/** `notify:`; what is wrong is complained of and left out. */
export function readNotify(value: Value, path: Path, reading: Reading): readonly HookSettings[] {
  const { source } = reading
  const list = checked(z.array(z.unknown()), value, path, source) === undefined || !Array.isArray(value) ? [] : value
  const names = new Map<string, number>()
  return (list as readonly Value[]).flatMap((item, index) => readHook(item, [...path, index], names, reading))
}

function readHook(item: Value, path: Path, names: Map<string, number>, reading: Reading): readonly HookSettings[] {
  const { source } = reading
  const given = isMapping(item) ? Object.keys(item).filter((key) => Object.hasOwn(channels, key)) : []
  const [kind, other] = given
  const channel = kind === undefined ? undefined : channels[kind]
  if (!isMapping(item) || kind === undefined || channel === undefined) {
    source.complain(
      path,
      'This says no way to tell anybody.',
      `Give one of ${Object.keys(channels).join(', ')}: { webhook: "…" }.`,
    )
    return []
  }
  if (other !== undefined) {
    source.complain(
      [...path, other],
      `A hook has one channel, but ${other} stands beside ${kind}.`,
      'Make two hooks of it.',
      'key',
    )
    return []
  }
  const own = checked(z.strictObject({ ...channel.shape, ...ownShape }), item, path, source)
  const open = channel.read(item, path, reading)
  if (own === undefined || open === undefined) return []
  const { name, on } = z.object(ownShape).parse(item)
  for (const [at, word] of (on === undefined || on === 'all' ? [] : on).entries())
    complainOfWord(word, [...path, 'on', at], source)
  return [{ name: unique(name ?? kind, name !== undefined, path, names, source), on: wordsOf(on), open }]
}

const wordsOf = (on: 'all' | readonly string[] | undefined): readonly string[] =>
  on === undefined ? usualTopics : on === 'all' ? topicNames : on

/** `webhook`, `webhook#2`: a hook without a name has its channel's. */
function unique(name: string, isGiven: boolean, path: Path, names: Map<string, number>, source: Source): string {
  const count = (names.get(name) ?? 0) + 1
  names.set(name, count)
  if (count > 1 && isGiven) source.complain([...path, 'name'], `There is a hook ${name} already.`, 'Give each a name of its own.')
  return count === 1 ? name : `${name}#${count}`
}

function complainOfWord(word: string, path: Path, source: Source): void {
  if (CODE.test(word) || Object.hasOwn(topics, word)) return
  const near = nearest(word, topicNames)
  source.complain(
    path,
    'Nothing is called that.',
    near === undefined ? `It may be: ${topicNames.join(', ')}, or code:NAME for one finding.` : `Did you mean "${near}"?`,
  )
}
