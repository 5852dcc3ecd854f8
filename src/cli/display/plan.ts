import { formatCount, formatDuration } from '../../base/units.ts'
import type { RunEvent } from '../../run/events.ts'
import type { Ask } from '../../run/session.ts'
import type { Sequence, Step } from '../../run/step.ts'
import { changeDetails } from './details.ts'
import type { Display } from './display.ts'
import { foundLines } from './found.ts'
import { type Colour, clip, type Paint } from './frame.ts'
import { hanging } from './hanging.ts'
import { MergePlan } from './merge-plan.ts'
import type { Passing } from './passing.ts'
import { eventLines } from './words.ts'

export interface PlanOptions {
  readonly write: (text: string) => void
  readonly notice: (text: string) => void
  readonly passing: Passing
  readonly verbose: boolean
  readonly paint: Paint
  readonly ask: Ask | undefined
  /** `check` shows only what was found, `rollback` what would be taken back, `reconcile` one pass of it. */
  readonly what: PlanView
  /** The terminal's width; without one no line is broken or cut. */
  readonly columns: number | undefined
}

export type PlanView = 'plan' | 'check' | 'rollback' | 'reconcile'

type Of<E extends RunEvent['event']> = Extract<RunEvent, { readonly event: E }>

/** What a dry run or a check found, to be read from top to bottom: problems first, then step by step what would be done. */
export function planDisplay(options: PlanOptions): Display {
  const printer = new PlanPrinter(options)
  return {
    begin: ({ sequence, playbook }) => printer.begin(sequence, playbook),
    checking: (what) => options.passing(what),
    sink: (event) => printer.add(event),
    tell: (_event, text) => {
      options.passing(undefined)
      options.write(text === '' ? '' : `${text}\n`)
    },
    notice: options.notice,
    ask: options.ask,
    close: async () => options.passing(undefined),
  }
}

const MOVES = 'customers move to the new host here'
const LASTING = 'what this does stays: a rollback can’t take it back'

/** Why a step has no change: it only looks, it is done, or what it will do can't be known before its time. */
function nothingWords(step: Step | undefined, resumed: boolean): string {
  if (step?.id === 'check') return 'it only looks'
  if (step?.phase === 'settle') return 'what there is to do is known only when its turn comes'
  return resumed ? 'nothing left to do, as far as can be told now' : 'nothing to change, as far as can be told now'
}

/** A summary of several lines: its head when they stand under one, such as a file's changed lines, else all of them. */
const inOneLine = (summary: string): string => summary.replace(/:\n[\s\S]*$/, '').replaceAll('\n', '; ')

class PlanPrinter {
  readonly #options: PlanOptions
  #steps: readonly Step[] = []
  #playbook = ''
  #hasBegun = false
  #resumed = false
  #findings: Of<'finding'>[] = []
  #foundPrinted = false
  #current: string | null = null
  /** Something stands under the current step's heading already. */
  #said = false
  /** What each step would do, in a few words each. */
  readonly #summaries = new Map<string, string[]>()
  readonly #merge: MergePlan
  #problems = 0
  #warnings = 0
  readonly #lasting = new Set<string>()

  constructor(options: PlanOptions) {
    this.#options = options
    this.#merge = new MergePlan(options.verbose)
  }

  begin(sequence: Sequence, playbook: string): void {
    this.#steps = sequence.flat()
    this.#playbook = playbook
  }

  add(event: RunEvent): void {
    switch (event.event) {
      case 'started':
        if (event.step === null) this.#begun(event)
        else this.#heading(event.step, event.title)
        return
      case 'finding':
        this.#finding(event)
        return
      case 'change':
        this.#change(event)
        return
      case 'done':
        this.#printMerge()
        if (event.skipped && !this.#said && this.#options.what !== 'reconcile')
          this.#line(event.step, nothingWords(this.#stepOf(event.step), this.#resumed), 'dim')
        return
      case 'finished':
        this.#finished(event)
        return
      case 'progress':
        return
      default:
        for (const line of eventLines(event, this.#options.verbose)) this.#line(event.step, line)
    }
  }

  #begun(event: Of<'started'>): void {
    // A rollback after the cutover is told in two parts.
    if (this.#hasBegun) return
    this.#hasBegun = true
    const name = this.#options.paint('bold', event.playbook ?? 'the shop')
    const goesOn = event.resumed ? ' It goes on with an unfinished run.' : ''
    this.#resumed = event.resumed ?? false
    const words: Readonly<Record<PlanView, string>> = {
      check: `Checking ${name}; nothing is changed.`,
      plan: `Plan for ${name}. Nothing is changed by showing it.${goesOn}`,
      reconcile: `What reconcile would carry over for ${name}. Nothing is changed by showing it.`,
      rollback: `What a rollback of ${name} would take back, newest first. Nothing is changed by showing it.`,
    }
    this.#say(words[this.#options.what])
  }

  /** Findings come before the steps, from all of them; they are kept together. Later ones stand under their step. */
  #finding(event: Of<'finding'>): void {
    if (event.severity === 'error') this.#problems += 1
    if (event.severity === 'warning') this.#warnings += 1
    if (event.code === 'no-way-back') {
      if (event.step !== null) this.#lasting.add(event.step)
      return
    }
    if (this.#foundPrinted) for (const line of foundLines(event, this.#options)) this.#line(event.step, line)
    else this.#findings.push(event)
  }

  #printFindings(): void {
    if (this.#foundPrinted) return
    this.#foundPrinted = true
    const order = ['error', 'warning', 'info'] as const
    const shown = this.#findings.filter(
      (each) => each.severity !== 'info' || this.#options.verbose || this.#options.what === 'check',
    )
    if (shown.length > 0) this.#write('\nFound by the checks')
    for (const severity of order) {
      for (const each of shown.filter((finding) => finding.severity === severity)) {
        for (const line of foundLines(each, this.#options)) this.#write(`  ${line}`)
      }
    }
  }

  #heading(step: string, title: string | undefined): void {
    if (this.#current === step) return
    this.#printFindings()
    this.#current = step
    this.#said = false
    if (this.#options.what === 'check') return
    const number = this.#steps.findIndex((each) => each.id === step) + 1
    const known = this.#steps.find((each) => each.id === step)
    const label = title ?? known?.title ?? step
    this.#write(
      `\n${number === 0 ? '   ' : `${String(number).padStart(2)}.`} ${this.#options.paint('bold', label)} ${this.#options.paint('dim', `(${step})`)}`,
    )
    if (this.#options.what !== 'plan') return
    const remarks = [...(known?.phase === 'cutover' ? [MOVES] : []), ...(known !== undefined && !known.undo ? [LASTING] : [])]
    for (const line of remarks.flatMap((remark) => this.#broken(`      ${remark}`)))
      this.#write(this.#options.paint('yellow', line))
  }

  #change(event: Of<'change'>): void {
    if (this.#merge.step !== event.step) this.#printMerge()
    if (this.#merge.add(event)) return
    const summary = event.summary.trimEnd()
    const [first = '', ...more] = summary.split('\n')
    if (event.step !== null) this.#summaries.set(event.step, [...(this.#summaries.get(event.step) ?? []), inOneLine(summary)])
    this.#line(event.step, `• ${first}`)
    for (const line of more) this.#line(event.step, `  ${line}`)
    // What is taken back was made by a plan that showed it.
    if (this.#options.what === 'rollback' && !this.#options.verbose) return
    for (const line of changeDetails(event.change, summary, this.#options.verbose)) this.#line(event.step, `    ${line}`, 'dim')
  }

  #printMerge(): void {
    const { step } = this.#merge
    const lines = this.#merge.take()
    if (step === null || lines.length === 0) return
    this.#summaries.set(step, [...(this.#summaries.get(step) ?? []), ...lines])
    for (const line of lines) this.#line(step, `• ${line}`)
  }

  #line(step: string | null, text: string, colour?: Colour): void {
    if (step !== null) this.#heading(step, undefined)
    this.#said = true
    const indent = step === null ? '' : '      '
    for (const [index, line] of text.split('\n').entries()) {
      for (const part of this.#broken(`${indent}${index === 0 || !text.startsWith('•') ? '' : '  '}${line}`)) {
        this.#write(colour === undefined ? part : this.#options.paint(colour, part))
      }
    }
  }

  #finished(event: Of<'finished'>): void {
    this.#printMerge()
    this.#printFindings()
    const found = `${this.#count(this.#problems, 'problem')}, ${this.#count(this.#warnings, 'warning')}`
    const time = formatDuration(event.seconds * 1000)
    if (this.#options.what === 'check') {
      const verdict = this.#problems === 0 ? 'Ready to run' : 'Not ready to run'
      const next = this.#problems === 0 ? `Next: migrate run ${this.#playbook} --dry-run` : 'Mend the problems, and check again.'
      this.#say(`\n${verdict}: ${found} (${time}). ${next}`)
      return
    }
    if (this.#options.what === 'rollback') this.#endRollback(event)
    else if (this.#options.what === 'reconcile') this.#endReconcile(event, `${found} (compared in ${time})`)
    else this.#endPlan(event, `${found} (planned in ${time})`)
  }

  #endPlan(event: Of<'finished'>, found: string): void {
    const changes = [...this.#summaries.values()].flat().length
    if (changes > 0) {
      this.#write('\nIn short')
      for (const [index, step] of this.#steps.entries()) this.#write(this.#shortLine(step, index + 1))
    }
    this.#write('')
    const verdict =
      event.exit === 0
        ? `It can be run: migrate run ${this.#playbook}`
        : event.outcome === 'interrupted'
          ? 'Interrupted.'
          : 'It can’t be run like this.'
    const stays = this.#lasting.size === 0 ? '' : ` (what these do stays: ${[...this.#lasting].join(', ')})`
    if (changes > 0) this.#say(`The way back, at any time: migrate rollback ${this.#playbook}${stays}`)
    this.#say(`${this.#count(this.#steps.length, 'step')}, ${this.#count(changes, 'change')}; ${found}. ${verdict}`)
  }

  #shortLine({ id, phase, undo }: Step, number: number): string {
    const summaries = this.#summaries.get(id) ?? []
    const [
      first = id === 'check'
        ? 'only looks'
        : this.#resumed && phase !== 'settle'
          ? 'nothing left to do'
          : 'known when its turn comes',
    ] = summaries
    const words = summaries.length > 1 ? this.#count(summaries.length, 'change') : first
    const marks = [...(phase === 'cutover' ? ['customers move'] : []), ...(undo === undefined ? ['no way back'] : [])]
    const line = `${String(number).padStart(2)}. ${id.padEnd(18)} ${[...marks, words].join(' · ')}`
    return this.#options.columns === undefined ? line : clip(line, this.#options.columns)
  }

  #endReconcile(event: Of<'finished'>, found: string): void {
    const lines = [...this.#summaries.values()].flat().length
    const next =
      event.exit !== 0
        ? ''
        : lines === 0
          ? ' Nothing is to be carried.'
          : ` To carry it over: migrate reconcile ${this.#playbook}`
    this.#say(`\n${found}.${next}`)
  }

  #endRollback(event: Of<'finished'>): void {
    const changes = [...this.#summaries.values()].flat().length
    if (event.exit === 0 && changes > 0)
      this.#say(
        `\n${this.#count(changes, 'change')} in ${this.#count(this.#summaries.size, 'step')}. To take them back: migrate rollback ${this.#playbook}`,
      )
  }

  #stepOf(id: string | null): Step | undefined {
    return this.#steps.find((step) => step.id === id)
  }

  #say(text: string): void {
    for (const line of text.split('\n').flatMap((each) => this.#broken(each))) this.#write(line)
  }

  #broken(line: string): readonly string[] {
    return hanging(line, this.#options.columns)
  }

  #count(count: number, noun: string): string {
    return `${count === 0 ? 'no' : formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
  }

  #write(text: string): void {
    this.#options.passing(undefined)
    this.#options.write(`${text}\n`)
  }
}
