import { stripVTControlCharacters } from 'node:util'
import { formatCount, formatDuration } from '../../base/units.ts'
import type { Outcome } from '../../run/events.ts'
import { resolveCommand } from '../status-text.ts'
import type { Counter, ScreenModel, StepState, StepView } from './model.ts'
import { finishedWords, progressWords, rateWords, straysLine } from './words.ts'

export type Colour = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan'
export type Paint = (colour: Colour, text: string) => string

export interface FrameOptions {
  readonly columns: number
  /** Rows that the frame may take; all it wants when absent (the last frame, which stays in the terminal). */
  readonly rows?: number
  readonly spinner: string
  /** Milliseconds since 1970, for the clocks that run between two events. */
  readonly now: number
  readonly paint: Paint
}

/** The whole screen as lines, none wider than the terminal, not more than its rows. */
export function frame(model: ScreenModel, options: FrameOptions): readonly string[] {
  const isBack = model.work === 'rollback'
  const asking = !isBack && model.outcome === undefined && model.steps.every((step) => step.state === 'waiting')
  const checking = asking
    ? [
        ` ${options.paint('cyan', options.spinner)} Checking before anything is changed${model.checking === undefined ? '' : `: ${model.checking}`}`,
      ]
    : []
  const head = [header(model, options), '', ...checking]
  const foot = footer(model, options)
  const room = options.rows === undefined ? undefined : Math.max(3, options.rows - head.length - foot.length)
  // A rollback shows what it takes back, not what it leaves as it is.
  const steps = isBack ? model.steps.filter((step) => step.state !== 'waiting') : model.steps
  const body = fitted(steps, room, options)
  return [...head, ...body, ...foot].map((line) => clip(line, options.columns))
}

function header(model: ScreenModel, options: FrameOptions): string {
  const ms = model.seconds === undefined ? options.now - (model.startedAt ?? options.now) : model.seconds * 1000
  const done = model.steps.filter((step) => isOver(step.state)).length
  const name = `migrate · ${options.paint('bold', model.name)}`
  if (model.work === 'rollback') {
    const back = model.steps.filter((step) => step.state === 'undone').length
    return spread(`${name} · rollback`, `${back} ${back === 1 ? 'step' : 'steps'} taken back · ${wholeSeconds(ms)}`, options)
  }
  const work = model.work === 'rehearsal' ? ' · rehearsal' : model.resumed ? ' · resumed' : ''
  return spread(`${name}${work}`, `${done} of ${model.steps.length} steps · ${wholeSeconds(ms)}`, options)
}

const isOver = (state: StepState): boolean => state === 'done' || state === 'skipped'
const isQuiet = (step: StepView): boolean => isOver(step.state) || step.state === 'waiting'

/**
 * All steps when there is room. Otherwise those at work with what is under them; steps long done and far ahead shrink to one line
 * each, and details shrink before a step disappears.
 */
function fitted(steps: readonly StepView[], room: number | undefined, options: FrameOptions): readonly string[] {
  const details = new Map(steps.map((step) => [step, detailLines(step, options, room === undefined)]))
  const all = steps.flatMap((step) => [titleLine(step, options), ...(details.get(step) ?? [])])
  if (room === undefined || all.length <= room) return all
  const busy = steps.filter((step) => !isQuiet(step))
  const perStep = Math.max(1, Math.floor((room - 2) / Math.max(1, busy.length)) - 1)
  const active = busy.flatMap((step) => [titleLine(step, options), ...(details.get(step) ?? []).slice(0, perStep)])
  const rest = room - active.length - 2
  const first = steps.findIndex((step) => !isQuiet(step))
  const middle = first < 0 ? steps.findLastIndex((step) => isOver(step.state)) + 1 : first
  const before = steps.slice(0, middle).filter(isQuiet)
  const after = steps.slice(middle).filter(isQuiet)
  const showAfter = Math.min(after.length, Math.max(0, Math.ceil(rest / 2), rest - before.length))
  const showBefore = Math.min(before.length, Math.max(0, rest - showAfter))
  return [
    ...folded(before.slice(0, before.length - showBefore), '✔', 'earlier', options),
    ...before.slice(before.length - showBefore).map((step) => titleLine(step, options)),
    ...active,
    ...after.slice(0, showAfter).map((step) => titleLine(step, options)),
    ...folded(after.slice(showAfter), '·', 'later', options),
  ].slice(0, room)
}

function folded(steps: readonly StepView[], mark: string, when: string, { paint }: FrameOptions): readonly string[] {
  if (steps.length === 0) return []
  const noun = steps.length === 1 ? 'step' : 'steps'
  return [paint('dim', ` ${mark} ${steps.length} ${when} ${noun}: ${steps.map((step) => step.id).join(', ')}`)]
}

function titleLine(step: StepView, options: FrameOptions): string {
  const { paint } = options
  const [mark, colour] = markOf(step.state, options)
  const title = step.state === 'waiting' || step.state === 'skipped' ? paint('dim', step.title) : step.title
  const found = step.warnings.filter((line) => !line.startsWith(' '))
  const problems = found.filter((line) => line.startsWith('PROBLEM')).length
  const badge = paint('red', counted(problems, 'problem')) + paint('yellow', counted(found.length - problems, 'warning'))
  const irreversible =
    !step.undoable && step.state === 'waiting' && step.phase !== 'settle' ? paint('dim', ' · point of no return') : ''
  return spread(
    ` ${colour === undefined ? mark : paint(colour, mark)} ${title}${badge}${irreversible}`,
    paint('dim', timeOf(step, options)),
    options,
  )
}

const counted = (count: number, noun: string): string => (count === 0 ? '' : ` · ${count} ${noun}${count === 1 ? '' : 's'}`)

function timeOf(step: StepView, { now }: FrameOptions): string {
  if (step.state === 'skipped') return 'nothing to do'
  if (step.seconds !== undefined) return formatDuration(step.seconds * 1000)
  return step.startedAt === undefined ? '' : wholeSeconds(now - step.startedAt)
}

/** A clock that runs shows no fractions: they would only flicker. */
const wholeSeconds = (ms: number): string => formatDuration(Math.max(1, Math.round(ms / 1000)) * 1000)

function markOf(state: StepState, { spinner }: FrameOptions): readonly [string, Colour | undefined] {
  switch (state) {
    case 'waiting':
      return ['·', 'dim']
    case 'running':
      return [spinner, 'cyan']
    case 'done':
      return ['✔', 'green']
    case 'skipped':
      return ['✔', 'dim']
    case 'failed':
      return ['✖', 'red']
    case 'asking':
      return ['?', 'yellow']
    case 'stopped':
      return ['■', 'yellow']
    case 'undone':
      return ['↶', 'yellow']
  }
}

/** What stands under a step: most important first, because the end is cut off when room is short. */
function detailLines(step: StepView, options: FrameOptions, final: boolean): readonly string[] {
  if (step.state === 'waiting' && !final) return []
  const { paint } = options
  const indented = (lines: readonly string[], colour?: Colour): readonly string[] =>
    lines.flatMap((line) =>
      wrap(line, options.columns - 6).map((part) => `     ${colour === undefined ? part : paint(colour, part)}`),
    )
  const outcome = indented(step.outcome, step.state === 'failed' ? 'red' : 'yellow')
  const warnings = final || step.state !== 'done' ? indented(step.warnings, 'yellow') : []
  if (step.state === 'undone') return [...outcome, ...indented(noteLine(step), 'dim'), ...warnings]
  const figures = indented([...step.figures, ...straysLine(step.strays, step.carriedAt)])
  if (step.state !== 'running') return [...outcome, ...figures, ...warnings]
  const counters = [...step.counters.values()].map((counter) => counterLine(counter))
  return [
    ...indented(counters),
    ...figures,
    ...indented(applyingLine(step), 'dim'),
    ...indented(noteLine(step), 'dim'),
    ...warnings,
  ]
}

function counterLine({ done, total, unit, item, meter }: Counter): string {
  const rate = meter.rate === undefined || unit === 'seconds' ? '' : ` · ${rateWords(meter.rate, unit)}`
  const left = meter.millisecondsLeft(total)
  return `${progressWords(done, total, unit)}${rate}${left === undefined ? '' : ` · ${wholeSeconds(left)} left`}${item === undefined ? '' : ` · ${item}`}`
}

function applyingLine(step: StepView): readonly string[] {
  const count = step.planned > 1 ? `${formatCount(step.applied)} of ${formatCount(step.planned)} changes` : ''
  const parts = [count, step.applying ?? ''].filter((part) => part !== '')
  return parts.length === 0 ? [] : [parts.join(' · ')]
}

const noteLine = (step: StepView): readonly string[] => (step.note === undefined ? [] : [step.note])

function footer(model: ScreenModel, options: FrameOptions): readonly string[] {
  const { paint, columns } = options
  const messages = model.messages
    .slice(options.rows === undefined ? 0 : -3)
    .flatMap((line) => wrap(line, columns - 2))
    .map((line) => ` ${line}`)
  const spoken = model.notice === undefined || model.outcome !== undefined ? [] : [paint('yellow', ` ${model.notice}`)]
  const outlook = model.outcome === undefined ? outlookLines(model, columns - 2) : []
  const end = model.outcome === undefined ? [] : endLines(model, model.outcome, options)
  const ahead = outlook.flatMap((line) => wrap(line, columns - 2)).map((line) => paint('dim', ` ${line}`))
  const lines = [...messages, ...spoken, ...end, ...ahead]
  return lines.length === 0 ? [] : ['', ...lines]
}

function endLines(model: ScreenModel, outcome: Outcome, { paint, columns }: FrameOptions): readonly string[] {
  const colour = outcome === 'ok' ? 'green' : outcome === 'failed' ? 'red' : 'yellow'
  const next = outcome === 'parked' ? `Decide:  ${resolveCommand(model.playbook)}` : `See  migrate status ${model.playbook}`
  const isWhole = model.work === 'run' && model.steps.some(({ id }) => id === 'report')
  const after = isWhole ? [`What is left to do:  migrate report ${model.playbook}`] : []
  const resumable = model.steps.length === 0 ? [] : outcome === 'ok' ? after : [next]
  const rest = model.steps.slice(model.steps.findLastIndex((step) => isOver(step.state)) + 1)
  const [left] = rest
  if (outcome === 'ok' && model.work === 'run' && left !== undefined && rest.length < model.steps.length) {
    const more = rest.length === 1 ? '' : ', and what follows'
    const time = formatDuration((model.seconds ?? 0) * 1000)
    const done = `Done as far as was asked (${time}).`
    const words = [paint('green', done), `Not run this time: ${left.title}${more}.`, `Go on:  migrate run ${model.playbook}`]
    return together(words, columns - 2).map((line) => ` ${line}`)
  }
  const said = paint(colour, finishedWords({ outcome, seconds: model.seconds ?? 0 }))
  return together([said, ...resumable], columns - 2).map((line) => ` ${line}`)
}

function outlookLines(model: ScreenModel, columns: number): readonly string[] {
  if (model.work === 'rollback') return ['Ctrl-C stops safely; the same command goes on with it.']
  if (model.work === 'rehearsal')
    return [nextWords(model), 'Customers notice nothing, and all of it is removed in the end, after Ctrl-C too.']
  return [...aheadLines(model), ...together(['Ctrl-C stops safely.', wayBackWords(model)], columns)]
}

function aheadLines(model: ScreenModel): readonly string[] {
  const ahead = model.steps.filter((step) => step.state === 'waiting')
  const next = ahead[0]
  const cutover = ahead.find((step) => step.phase === 'cutover')
  const quiet = cutover === undefined || cutover === next ? [] : [`Customers notice nothing before: ${cutover.title}.`]
  return [nextWords(model), ...quiet]
}

function nextWords({ steps }: ScreenModel): string {
  const next = steps.find((step) => step.state === 'waiting')
  return next === undefined ? 'Next: the end.' : `Next: ${next.title}.`
}

/** Beyond a step that can't be taken back, the way back doesn't reach; it says so. */
function wayBackWords(model: ScreenModel): string {
  const begun = model.steps.filter((step) => step.state !== 'waiting' && step.state !== 'skipped')
  const lasting = begun.filter((step) => !step.undoable && step.applied > 0)
  const remains = lasting.length === 0 ? '' : ` except ${lasting.map((step) => step.id).join(', ')}`
  return `Way back: migrate rollback ${model.playbook}${remains}`
}

/** On one line where there is room; a command is easier to copy when it isn't broken. */
const together = (parts: readonly string[], columns: number): readonly string[] =>
  width(parts.join(' ')) <= columns ? [parts.join(' ')] : parts

const width = (text: string): number => [...stripVTControlCharacters(text)].length

/** `left` and `right` at the two ends of the line; a left part that is too long is cut. */
function spread(left: string, right: string, { columns }: FrameOptions): string {
  if (right === '') return left
  const room = columns - width(right) - 3
  const short = width(left) > room ? clip(left, room) : left
  return `${short}${' '.repeat(Math.max(1, columns - 2 - width(short) - width(right)))}${right}`
}

// Colour codes (ECMA-48, SGR) take no room and stay whole.
const ESCAPE = '\u001b'
const ESCAPES = new RegExp(`(${ESCAPE}\\[[0-9;]*m)`)

/** Cuts a line to the terminal's width; an ellipsis shows that there was more. */
export function clip(line: string, columns: number): string {
  if (width(line) <= columns) return line
  let room = columns - 1
  let result = ''
  let open = false
  for (const part of line.split(ESCAPES)) {
    if (ESCAPES.test(part)) {
      result += part
      open = true
      continue
    }
    const letters = [...part].slice(0, Math.max(0, room))
    room -= letters.length
    result += letters.join('')
    if (letters.length < [...part].length) break
  }
  return `${result}…${open ? '\u001b[0m' : ''}`
}

/** Breaks a text between words, keeping the indentation of each line; a longer word is broken where it must be. */
export function wrap(text: string, columns: number): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const indent = /^ */.exec(line)?.[0].slice(0, Math.floor(columns / 2)) ?? ''
    return wrapLine(line.trimStart(), columns - indent.length).map((part) => indent + part)
  })
}

function wrapLine(line: string, columns: number): readonly string[] {
  const lines: string[] = []
  let current = ''
  for (const word of line.split(' ')) {
    if (current !== '' && width(current) + 1 + width(word) > columns) {
      lines.push(current)
      current = word
    } else current = current === '' ? word : `${current} ${word}`
    while (width(current) > columns) {
      lines.push([...current].slice(0, columns).join(''))
      current = [...current].slice(columns).join('')
    }
  }
  return [...lines, current]
}
