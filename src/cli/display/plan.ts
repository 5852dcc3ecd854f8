import { formatCount, formatDuration } from '../../base/units.ts'
import type { RunEvent } from '../../run/events.ts'
import type { Ask } from '../../run/session.ts'
import type { Sequence, Step } from '../../run/step.ts'
import { changeDetails } from './details.ts'
import type { Display } from './display.ts'
import type { Paint } from './frame.ts'
import { eventLines } from './words.ts'

export interface PlanOptions {
  readonly write: (text: string) => void
  readonly notice: (text: string) => void
  readonly verbose: boolean
  readonly paint: Paint
  readonly ask: Ask | undefined
  /** `check` shows only what was found. */
  readonly what: 'plan' | 'check'
}

type Of<E extends RunEvent['event']> = Extract<RunEvent, { readonly event: E }>

/** What a dry run or a check found, to be read from top to bottom: problems first, then step by step what would be done. */
export function planDisplay(options: PlanOptions): Display {
  const printer = new PlanPrinter(options)
  return {
    begin: ({ sequence }) => printer.begin(sequence),
    sink: (event) => printer.add(event),
    tell: (_event, text) => options.write(text === '' ? '' : `${text}\n`),
    notice: options.notice,
    ask: options.ask,
    close: async () => undefined,
  }
}

class PlanPrinter {
  readonly #options: PlanOptions
  #steps: readonly Step[] = []
  #findings: Of<'finding'>[] = []
  #foundPrinted = false
  #current: string | null = null
  /** Something stands under the current step's heading already. */
  #said = false
  #changes = 0
  #problems = 0
  #warnings = 0
  readonly #lasting = new Set<string>()

  constructor(options: PlanOptions) {
    this.#options = options
  }

  begin(sequence: Sequence): void {
    this.#steps = sequence.flat()
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
        if (event.skipped && !this.#said) this.#line(event.step, this.#dim('nothing to change, as far as can be told now'))
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
    const name = this.#options.paint('bold', event.playbook ?? 'the shop')
    const goesOn = event.resumed ? ' It goes on with an unfinished run.' : ''
    const words =
      this.#options.what === 'check'
        ? `Checking ${name}; nothing is changed.`
        : `Plan for ${name}. Nothing is changed by showing it.${goesOn}`
    this.#write(words)
  }

  /** Findings come before the steps, from all of them; they are kept together. Later ones stand under their step. */
  #finding(event: Of<'finding'>): void {
    if (event.severity === 'error') this.#problems += 1
    if (event.severity === 'warning') this.#warnings += 1
    if (event.code === 'no-way-back') {
      if (event.step !== null) this.#lasting.add(event.step)
      return
    }
    if (this.#foundPrinted) for (const line of this.#findingLines(event)) this.#line(event.step, line)
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
        for (const line of this.#findingLines(each)) this.#write(`  ${line}`)
      }
    }
  }

  #findingLines({ severity, message, hint, step }: Of<'finding'>): readonly string[] {
    const { paint } = this.#options
    const mark =
      severity === 'error'
        ? paint('red', '✖ problem')
        : severity === 'warning'
          ? paint('yellow', '! warning')
          : paint('dim', '· note   ')
    const indent = ' '.repeat(11)
    const text = `${mark}  ${message.replaceAll('\n', `\n  ${indent}`)}${step === null ? '' : this.#dim(` (${step})`)}`
    return hint === undefined || hint === '' ? [text] : [text, `${indent}→ ${hint}`]
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
    this.#write(`\n${String(number).padStart(2)}. ${this.#options.paint('bold', label)} ${this.#dim(`(${step})`)}`)
    if (known?.phase === 'cutover') this.#write(`      ${this.#options.paint('yellow', 'customers move to the new host here')}`)
    if (known !== undefined && known.undo === undefined) {
      this.#write(`      ${this.#options.paint('yellow', 'point of no return: "migrate rollback" can’t take this back')}`)
    }
  }

  #change(event: Of<'change'>): void {
    this.#changes += 1
    const [first = '', ...more] = event.summary.split('\n')
    this.#line(event.step, `• ${first}`)
    for (const line of more) this.#line(event.step, `  ${line}`)
    for (const line of changeDetails(event.change, event.summary, this.#options.verbose))
      this.#line(event.step, this.#dim(`    ${line}`))
  }

  #line(step: string | null, text: string): void {
    if (step !== null) this.#heading(step, undefined)
    this.#said = true
    this.#write(`${step === null ? '' : '      '}${text.replaceAll('\n', '\n        ')}`)
  }

  #finished(event: Of<'finished'>): void {
    this.#printFindings()
    const found = `${this.#count(this.#problems, 'problem')}, ${this.#count(this.#warnings, 'warning')}`
    const time = formatDuration(event.seconds * 1000)
    if (this.#options.what === 'check') {
      const verdict = this.#problems === 0 ? 'Ready to run' : 'Not ready to run'
      this.#write(`\n${verdict}: ${found} (${time}).`)
      return
    }
    const lasting = this.#lasting.size === 0 ? '' : ` Can’t be taken back: ${[...this.#lasting].join(', ')}.`
    const verdict =
      event.exit === 0 ? 'It can be run.' : event.outcome === 'interrupted' ? 'Interrupted.' : 'It can’t be run like this.'
    this.#write(
      `\n${this.#count(this.#steps.length, 'step')}, ${this.#count(this.#changes, 'change')}; ${found} (planned in ${time}).${lasting} ${verdict}`,
    )
  }

  #count(count: number, noun: string): string {
    return `${count === 0 ? 'no' : formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
  }

  #dim(text: string): string {
    return this.#options.paint('dim', text)
  }

  #write(text: string): void {
    this.#options.write(`${text}\n`)
  }
}
