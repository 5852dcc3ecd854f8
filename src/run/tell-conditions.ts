import type { RunEvent } from './events.ts'
import { STOPPED } from './history.ts'
import type { Step } from './step.ts'
import { type Topic, topicOfFinding } from './tell-topics.ts'
import { WatchConditions } from './tell-watch.ts'

/** Something that people may want to hear of. */
export interface Happening {
  readonly topic: Topic | null
  readonly severity: 'error' | 'warning' | 'info'
  readonly code: string | null
  readonly step: string | null
  readonly title: string
  readonly text: string
}

/** A condition that has come, or is gone: told once, however often it is seen, until it is gone. */
export type Signal =
  | { readonly kind: 'risen'; readonly key: string; readonly happening: Happening }
  /** Every condition whose key begins with `key`; those who were told of one hear `over`. */
  | { readonly kind: 'gone'; readonly key: string; readonly over?: Happening }

/** What the guard says of a new host that fails is over when it is well again. */
const GUARDED = ['new-host-failing', 'failback-not-possible'] as const

/** What waits on the new host after the way back is over when this step has carried it. */
const [CARRY_BACK, DUE] = ['carry-back', ['carry-back-due', 'failback-unfinished']] as const

type Of<E extends RunEvent['event']> = RunEvent & { readonly event: E }

/** A run's events, folded into what people may want to hear of. `playbook`: its name, at the head of each title. */
export class Conditions {
  readonly #playbook: string
  readonly #steps: ReadonlyMap<string, Pick<Step, 'title' | 'phase'>>
  readonly #watch: WatchConditions

  constructor(playbook: string, steps: readonly Step[]) {
    this.#playbook = playbook
    this.#steps = new Map(steps.map((step) => [step.id, step]))
    this.#watch = new WatchConditions((title) => this.#headed(title))
  }

  /** `at`: milliseconds, monotonic. */
  hear(event: RunEvent, at: number): readonly Signal[] {
    switch (event.event) {
      case 'finding':
        return this.#finding(event)
      case 'change':
        return this.#change(event)
      case 'waiting':
        return [this.#risen(`waiting ${event.step} ${event.message}`, event, 'waiting', 'warning', 'waits for you', event)]
      case 'failed':
        return this.#failed(event)
      case 'done':
        return [
          { kind: 'gone', key: `failed ${event.step} ` },
          { kind: 'gone', key: `waiting ${event.step} ` },
          ...(event.step === CARRY_BACK ? DUE.map((code) => this.#carriedBack(code, event)) : []),
          ...this.#done(event),
        ]
      case 'watch':
        return this.#watch.hear(event, at)
      case 'guard':
        return event.state === 'well' ? GUARDED.map((code) => this.#wellAgain(code, event)) : []
      case 'finished':
        return this.#finished(event)
      default:
        return []
    }
  }

  #finding(event: Of<'finding'>): readonly Signal[] {
    const { code, severity, message } = event
    const topic = topicOfFinding(code, severity) ?? null
    const mark = severity === 'error' ? 'problem' : severity === 'warning' ? 'warning' : 'note'
    const title = topic === 'parked' ? 'to be decided by a person' : `${mark}: ${firstSentence(message)}`
    // Said in the same words each time that it happens; the watch tells when it is over.
    const key = topic === 'late' || topic === 'carrying' ? topic : `finding ${code} ${message}`
    return [
      ...(topic === 'late' ? [{ kind: 'gone', key: 'drained' } as const] : []),
      { kind: 'risen', key, happening: { ...this.#about(event, topic, severity, title, event), code } },
    ]
  }

  #wellAgain(code: string, event: Of<'guard'>): Signal {
    const text = { message: 'The new host has been well for long again.' }
    return {
      kind: 'gone',
      key: `finding ${code} `,
      over: this.#about(event, 'guard', 'info', 'the new host is well again', text),
    }
  }

  #carriedBack(code: string, event: Of<'done'>): Signal {
    const text = { message: 'What customers ordered on the new host is on the old one now.' }
    return { kind: 'gone', key: `finding ${code} `, over: this.#about(event, 'guard', 'info', 'carried back', text) }
  }

  #change(event: Of<'change'>): readonly Signal[] {
    const step = this.#steps.get(event.step ?? '')
    if (step?.phase !== 'cutover') return []
    const text = { message: event.summary }
    if (event.phase === 'applying')
      return [
        { kind: 'gone', key: `cutover undone ${event.step}` },
        this.#risen(`cutover begun ${event.step}`, event, 'cutover', 'info', `begun: ${step.title}`, text),
      ]
    if (event.phase !== 'undone') return []
    return [
      { kind: 'gone', key: `cutover begun ${event.step}` },
      { kind: 'gone', key: `cutover done ${event.step}` },
      this.#risen(`cutover undone ${event.step}`, event, 'cutover', 'warning', `taken back: ${step.title}`, text),
    ]
  }

  #done(event: Of<'done'>): readonly Signal[] {
    const step = this.#steps.get(event.step ?? '')
    if (step?.phase !== 'cutover' || event.skipped === true) return []
    const text = { message: `${step.title}: done.` }
    return [this.#risen(`cutover done ${event.step}`, event, 'cutover', 'info', `done: ${step.title}`, text)]
  }

  #failed(event: Of<'failed'>): readonly Signal[] {
    if (event.code === STOPPED || event.code === 'interrupted') return []
    const what = this.#steps.get(event.step ?? '')?.title ?? event.step ?? 'the run'
    const risen = this.#risen(`failed ${event.step} ${event.code}`, event, 'failed', 'error', `failed: ${what}`, event)
    return [{ ...risen, happening: { ...risen.happening, code: event.code } }]
  }

  /** A failure and a wait have been told by then. */
  #finished(event: Of<'finished'>): readonly Signal[] {
    const words = ENDS[event.outcome]
    if (words === undefined) return [{ kind: 'gone', key: 'finished ' }]
    const severity = event.outcome === 'ok' ? 'info' : 'warning'
    return [
      ...(event.outcome === 'ok' ? [{ kind: 'gone', key: 'failed ' } as const] : []),
      ...Object.keys(ENDS).flatMap((outcome): Signal[] =>
        outcome === event.outcome ? [] : [{ kind: 'gone', key: `finished ${outcome}` }],
      ),
      this.#risen(`finished ${event.outcome}`, event, 'finished', severity, words, {
        message: `The run ${event.run} is ${words}.`,
      }),
    ]
  }

  #risen(
    key: string,
    event: RunEvent,
    topic: Topic,
    severity: Happening['severity'],
    title: string,
    text: Words,
  ): Extract<Signal, { kind: 'risen' }> {
    return { kind: 'risen', key, happening: this.#about(event, topic, severity, title, text) }
  }

  #about(event: RunEvent, topic: Topic | null, severity: Happening['severity'], title: string, words: Words): Happening {
    const text = words.hint === undefined || words.hint === '' ? words.message : `${words.message}\n→ ${words.hint}`
    return { topic, severity, code: null, step: event.step, title: this.#headed(title), text }
  }

  #headed(title: string): string {
    return `${this.#playbook}: ${title}`
  }
}

interface Words {
  readonly message: string
  readonly hint?: string | undefined
}

const ENDS: Readonly<Record<string, string>> = {
  ok: 'done',
  parked: 'done, with rows that a person must decide about',
  interrupted: 'interrupted at a safe point; run again to resume',
}

const LONGEST_TITLE = 120

/** For a title: up to the first full stop that ends a sentence. */
export function firstSentence(text: string): string {
  const line = text.split('\n', 1)[0] ?? ''
  const sentence = /^.*?[.!?](?=\s[A-Z“"(])/.exec(line)?.[0] ?? line
  return sentence.length > LONGEST_TITLE ? `${sentence.slice(0, LONGEST_TITLE - 1)}…` : sentence.replace(/\.$/, '')
}
