import { basename } from 'node:path'
import { z } from 'zod'
import { nearest } from '../base/nearest.ts'
import type { Sequence, Step } from '../run/step.ts'
import { stepKinds } from '../steps/index.ts'
import type { StepKind, World } from '../steps/world.ts'
import { checked, isMapping } from './issues.ts'
import type { Playbook, StepSettings } from './model.ts'
import type { Path, Source, Value } from './source.ts'

/** The order of a playbook that gives none. `rewrite-config` isn't in it: it needs to be told what to write. */
const DEFAULT_STEPS: readonly (readonly string[])[] = [
  ['check'],
  ['lower-ttl'],
  ['snapshot-files', 'snapshot-database'],
  ['restore-files', 'restore-database'],
  ['bump-identities'],
  ['smoke-test'],
  ['carry-files'],
  ['cutover-dns'],
  ['watch-propagation', 'guard'],
  ['carry-files', 'reconcile'],
  ['report'],
]
/** Kinds that may stand in a playbook several times. */
const REPEATABLE: ReadonlySet<string> = new Set(['run', 'sql', 'http', 'pause', 'notify', 'smoke-test', 'carry-files'])
/** What must have happened, when it is in the playbook at all, before what. */
const ORDER: readonly (readonly [string, string])[] = [
  ['snapshot-files', 'restore-files'],
  ['snapshot-database', 'restore-database'],
  ['restore-files', 'rewrite-config'],
  ['restore-database', 'bump-identities'],
  ['restore-files', 'carry-files'],
  ['restore-files', 'cutover-dns'],
  ['bump-identities', 'cutover-dns'],
  ['lower-ttl', 'cutover-dns'],
  ['certificate', 'cutover-dns'],
  ['cutover-dns', 'watch-propagation'],
  ['cutover-dns', 'guard'],
  ['cutover-dns', 'reconcile'],
  ['cutover-dns', 'relay'],
  ['bump-identities', 'relay'],
  ['snapshot-files', 'relay'],
  ['restore-database', 'relay'],
  ['relay', 'close-old'],
  ['relay', 'reconcile'],
  ['cutover-dns', 'close-old'],
  ['close-old', 'reconcile'],
]

interface Written {
  readonly name: string
  readonly options: Value | undefined
  readonly written: Value
  /** Of the name; options, where there are some, are its value. */
  readonly path: Path
}

/** `steps:`; without it, the default order. What is wrong is complained of and left out. */
export function readSteps(
  value: Value | undefined,
  raw: Value,
  path: Path,
  source: Source,
): readonly (readonly StepSettings[])[] {
  const groups =
    value === undefined
      ? DEFAULT_STEPS.map((group) => group.map((name) => byName(name, path)))
      : written(value, raw, path, source)
  const count = new Map<string, number>()
  const read = groups.map((group) => group.flatMap((item) => readStep(item, count, source, value === undefined)))
  complainOfTwins(read, source)
  complainOfOrder(read, source)
  return read.filter((group) => group.length > 0)
}

const byName = (name: string, path: Path): Written => ({ name, options: undefined, written: null, path })

function written(value: Value, raw: Value, path: Path, source: Source): readonly (readonly Written[])[] {
  if (
    checked(z.array(z.unknown()).min(1, 'may not be empty\nLeave it out to have the usual order.'), value, path, source) ===
    undefined
  )
    return []
  const list = Array.isArray(value) ? value : []
  return list.map((item: Value, index) => {
    const at = [...path, index]
    const written = member(raw, index)
    if (!Array.isArray(item)) return writtenStep(item, written, at, source)
    if (item.length === 0) source.complain(at, 'This list of steps is empty.', 'Remove it.')
    return item.flatMap((inner: Value, position) => {
      const innerPath = [...at, position]
      if (!Array.isArray(inner)) return writtenStep(inner, member(written, position), innerPath, source)
      source.complain(
        innerPath,
        'A list within a list within steps means nothing.',
        'Steps of one inner list run side by side; write them in one list.',
      )
      return []
    })
  })
}

const member = (value: Value, part: string | number): Value => {
  if (typeof part === 'number') return Array.isArray(value) ? ((value as readonly Value[])[part] ?? null) : null
  return isMapping(value) ? (value[part] ?? null) : null
}

function writtenStep(item: Value, raw: Value, path: Path, source: Source): readonly Written[] {
  if (typeof item === 'string') return [byName(item, path)]
  const keys = isMapping(item) ? Object.keys(item) : []
  const [name, ...others] = keys
  if (!isMapping(item) || name === undefined) {
    source.complain(path, 'This is no step.', 'Write its name, or  name: { options }.')
    return []
  }
  const at = [...path, name]
  if (others.length > 0) {
    const stray = [...path, others[0] ?? '']
    source.complain(
      stray,
      `A step has one name, but "${source.keyText(stray)}" stands beside "${source.keyText(at)}".`,
      'Indent the options further than the step’s name, or begin a new step with a dash.',
      'key',
    )
    return []
  }
  const options = item[name] ?? undefined
  return [{ name, options, written: member(raw, name), path: at }]
}

function readStep(item: Written, count: Map<string, number>, source: Source, byDefault: boolean): readonly StepSettings[] {
  const kind = stepKinds.find((each) => each.name === item.name)
  if (!kind) {
    if (!byDefault) complainOfName(item, source)
    return []
  }
  const number = (count.get(kind.name) ?? 0) + 1
  count.set(kind.name, number)
  const options = checkedOptions(kind, item, source)
  return options === undefined
    ? []
    : [
        {
          id: number === 1 ? kind.name : `${kind.name}#${number}`,
          kind,
          options: options.value,
          written: item.written,
          path: item.path,
        },
      ]
}

function checkedOptions(kind: StepKind, item: Written, source: Source): { readonly value: unknown } | undefined {
  const result = kind.options.safeParse(item.options)
  if (result.success) return { value: result.data }
  if (item.options === undefined) {
    return source.complain(
      item.path,
      `The step ${kind.name} needs to be told what to do.`,
      `${kind.summary} See the examples in playbooks/.`,
      'key',
    )
  }
  checked(kind.options, item.options, item.path, source, kind.name)
  return undefined
}

function complainOfName(item: Written, source: Source): void {
  if (source.broken(item.path)) return
  const names = stepKinds.map((kind) => kind.name)
  const near = nearest(item.name, names)
  const shown = source.entry(item.path)?.raw ?? source.keyText(item.path)
  source.complain(
    item.path,
    `There is no step "${shown}".`,
    near === undefined ? `The steps are: ${names.join(', ')}.` : `Did you mean "${near}"?`,
    'key',
  )
}

function complainOfTwins(groups: readonly (readonly StepSettings[])[], source: Source): void {
  const seen: StepSettings[] = []
  for (const group of groups) {
    for (const step of group) {
      const earlier = seen.findLast((each) => each.kind === step.kind)
      const once = !REPEATABLE.has(step.kind.name)
      const last = seen.at(-1)
      if (earlier && once) {
        const { line } = source.position(earlier.path)
        source.complain(
          step.path,
          `The step ${step.kind.name} stands here again; it is in line ${line} already.`,
          'Keep one of the two.',
          'key',
        )
      } else if (last && last.kind === step.kind && JSON.stringify(last.written) === JSON.stringify(step.written)) {
        source.complain(
          step.path,
          `The step ${step.kind.name} stands here twice, one right after the other.`,
          'Keep one of the two.',
          'key',
        )
      }
      seen.push(step)
    }
  }
}

function complainOfOrder(groups: readonly (readonly StepSettings[])[], source: Source): void {
  const places = groups.flatMap((group, index) => group.map((step) => [step.kind.name, { index, step }] as const))
  // Of a kind that stands there several times, the last must have been waited for, and the first must wait.
  const [lasts, firsts] = [new Map(places), new Map(places.toReversed())]
  for (const [first, second] of ORDER) {
    const before = lasts.get(first)
    const after = firsts.get(second)
    if (!before || !after || before.index < after.index) continue
    const how = before.index === after.index ? 'beside' : 'before'
    source.complain(
      after.step.path,
      `${second} stands ${how} ${first}, which must have ended first.`,
      `Put ${second} after ${first}.`,
    )
  }
}

/** The playbook's steps, made for a world. */
export function buildSequence(playbook: Playbook, world: World): Sequence {
  const made: Step[] = []
  return playbook.steps.map((group) =>
    group.map(({ id, kind, options }) => {
      const others = (): readonly Step[] => made.filter((each) => each !== step)
      const afterCutover = made.some((each) => each.phase === 'cutover')
      const place = { playbookDirectory: playbook.directory, playbookName: basename(playbook.file) }
      const step = kind.create(options, { id, world, ...place, others, afterCutover })
      made.push(step)
      return step
    }),
  )
}
