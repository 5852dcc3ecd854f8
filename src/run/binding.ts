import { MigrateError } from '../base/errors.ts'
import { canonicalJson, type Json } from '../base/json.ts'
import type { Binding } from './records.ts'

/** `path: old value → new value`, one line for each place where two values differ; [] when they are the same data. */
export function differences(before: Json | undefined, after: Json | undefined, path = ''): readonly string[] {
  if (canonicalJson(before) === canonicalJson(after) && (before === undefined) === (after === undefined)) return []
  if (isContainer(before) && isContainer(after) && Array.isArray(before) === Array.isArray(after)) {
    const left = membersOf(before)
    const right = membersOf(after)
    const keys = [...new Set([...left.keys(), ...right.keys()])]
    return keys.flatMap((key) => differences(left.get(key), right.get(key), join(path, key, Array.isArray(before))))
  }
  return [`${path === '' ? 'playbook' : path}: ${show(before)} → ${show(after)}`]
}

const isContainer = (value: Json | undefined): value is readonly Json[] | { readonly [key: string]: Json | undefined } =>
  typeof value === 'object' && value !== null

const membersOf = (
  value: readonly Json[] | { readonly [key: string]: Json | undefined },
): ReadonlyMap<string, Json | undefined> => new Map(Object.entries(value))

const join = (path: string, key: string, inList: boolean): string =>
  inList ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`

const show = (value: Json | undefined): string => {
  if (value === undefined) return '(absent)'
  const text = JSON.stringify(value)
  return text.length > 120 ? `${text.slice(0, 117)}…` : text
}

/** Throws MigrateError `run-bound-elsewhere`, with each difference on a line of its own, unless both are the same (law 3). */
export function assertSameBinding(journaled: Binding, now: Binding, run: string): void {
  const lines = [
    ...differences(journaled.playbook, now.playbook),
    ...differences(journaled.endpoints, now.endpoints, 'endpoints'),
  ]
  if (lines.length === 0) return
  throw new MigrateError(
    'run-bound-elsewhere',
    `Run ${run} was begun with another playbook or other endpoints. Nothing was changed. The differences:\n${lines
      .map((line) => `  ${line}`)
      .join('\n')}`,
    {
      ending: 'usage',
      hint: 'Put the old values back to go on with that run or to roll it back, or begin a new run with --fresh.',
    },
  )
}
