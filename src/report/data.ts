import { z } from 'zod'
import { formatCount } from '../base/units.ts'
import { GOING_BACK_KEY, goingBackSchema } from '../run/going-back.ts'
import type { JournalEntry } from '../run/records.ts'
import { PROVEN_KEY, type Proven, provenSchema } from './proof.ts'

/** One line of the time log. */
export interface LogLine {
  /** ISO 8601. */
  readonly at: string
  readonly step: string | null
  readonly text: string
  /** How long it took; `null` where that means nothing. */
  readonly seconds: number | null
}

export interface ReportFinding {
  readonly severity: 'error' | 'warning' | 'info'
  readonly step: string | null
  readonly code: string
  readonly message: string
  readonly hint: string | undefined
}

const headroomUseSchema = z.object({
  table: z.string(),
  column: z.string(),
  raisedBy: z.string(),
  used: z.string(),
  left: z.string(),
  host: z.literal('new').optional(),
})
const countsSchema = z.object({
  inserted: z.number(),
  updated: z.number(),
  deleted: z.number(),
  merged: z.number(),
  remapped: z.number(),
  parked: z.number(),
})
const reconciledSchema = z.object({
  event: z.literal('reconciled'),
  pass: z.number(),
  from: z.literal('new').optional(),
  newOnly: z.literal(true).optional(),
  tables: z.record(z.string(), countsSchema),
  headroom: z.array(headroomUseSchema),
  proof: z.object({ rows: z.number(), accounted: z.number(), unaccounted: z.number() }),
})
type Reconciled = z.infer<typeof reconciledSchema>
const loweredSchema = z.object({
  ttls: z.array(z.object({ name: z.string(), type: z.string(), from: z.number(), to: z.number() })),
})
const principalsSchema = z.array(z.object({ name: z.string(), grants: z.array(z.string()) }))

export interface ReportData {
  readonly run: string
  readonly playbook: string
  readonly startedAt: string
  /** Present when the run has ended: `migrate report` after it. */
  readonly ended: { readonly at: string; readonly outcome: string } | null
  /** Titles of the steps that haven't finished, as long as nothing was taken back. */
  readonly ahead: readonly string[]
  readonly log: readonly LogLine[]
  /** What each step moved, by unit: `{step: 'snapshot-files', figures: {bytes: …}}`. */
  readonly figures: readonly {
    readonly title: string
    readonly seconds: number
    readonly figures: Readonly<Record<string, number>>
  }[]
  /** Rows carried, over all passes, and the last pass's headroom and proof; `null` without a reconcile. */
  readonly reconciled: {
    readonly tables: ReadonlyMap<string, z.infer<typeof countsSchema>>
    readonly headroom: Reconciled['headroom']
    /** Of the last full pass; `null` before there was one. */
    readonly proof: Reconciled['proof'] | null
    /** The host that they were carried from, by the last pass. */
    readonly from: 'old' | 'new'
  } | null
  /** The last pass's proof, table by table; `null` before there was one. */
  readonly proven: Proven | null
  readonly findings: readonly ReportFinding[]
  /** Users and what they are granted on the old host: not copied. */
  readonly principals: z.infer<typeof principalsSchema>
  /** Records whose TTL was lowered, and from what, seconds; 1 = automatic. */
  readonly lowered: z.infer<typeof loweredSchema>['ttls']
  /** Changes that stand and that `migrate rollback` can't take back. */
  readonly noWayBack: readonly string[]
  /** What the playbook's steps have done, by kind: follow-ups hang on it. */
  readonly did: { readonly lowerTtl: boolean; readonly cutover: boolean; readonly reconcile: boolean; readonly parked: boolean }
}

/** The run's memory under which the users and grants of the old database are kept. */
const PRINCIPALS_KEY = 'principals'
/** The run's memory of what `lower-ttl` did. */
const LOWERED_KEY = 'ttl-lowered'
/** Of changes of one step that follow one another so many are told each by itself: a million files are a thousand changes. */
const MOST_TOLD = 20

/**
 * Folds a journal into what a report tells. `without` is the step that writes the report: its own lines are left out, and so are
 * processes that found nothing left to do, so that the report of an unchanged run is the same text. `result` is `undefined` when no run was
 * begun.
 */
export class ReportFold {
  readonly #without: string | undefined
  #run: { readonly id: string; readonly playbook: string; readonly at: string } | undefined
  #ended: { readonly at: string; readonly outcome: string } | null = null
  /** A resumption is told once something has been done in it. */
  #resumedAt: string | undefined
  #principals: z.infer<typeof principalsSchema> = []
  #proven: Proven | null = null
  #lowered: ReportData['lowered'] = []
  readonly #titles = new Map<string, string>()
  readonly #log: LogLine[] = []
  /** Changes of one step that followed one another up to the last line. */
  #row: { readonly step: string; readonly count: number; readonly last: LogLine | undefined } = {
    step: '',
    count: 0,
    last: undefined,
  }
  readonly #finished = new Set<string>()
  #rolledBack = false
  readonly #begun = new Map<string, string>()
  readonly #changes = new Map<
    number,
    { readonly step: string; readonly summary: string; readonly undoable: boolean; undone: boolean }
  >()
  readonly #figures = new Map<string, { readonly seconds: number; readonly figures: Readonly<Record<string, number>> }>()
  readonly #reconciled: Reconciled[] = []
  readonly #findings = new Map<string, ReportFinding>()

  constructor(without: string | undefined) {
    this.#without = without
  }

  add(entry: JournalEntry): void {
    const { record, time } = entry
    if (record.type === 'run-started') {
      this.#run = { id: record.run, playbook: record.playbook, at: time }
      for (const step of record.steps) this.#titles.set(step.id, step.title)
      this.#log.push({ at: time, step: null, text: 'The run began.', seconds: null })
    } else if (record.type === 'run-resumed') {
      this.#resumedAt = time
    } else if (record.type === 'fact') {
      if (record.key === PRINCIPALS_KEY) this.#principals = principalsSchema.safeParse(record.value).data ?? []
      if (record.key === LOWERED_KEY) this.#lowered = loweredSchema.safeParse(record.value).data?.ttls ?? []
      if (record.key === GOING_BACK_KEY) this.#tellDecision(record.value, time)
      if (record.key === PROVEN_KEY) this.#proven = provenSchema.safeParse(record.value).data ?? null
    } else if (record.type === 'run-finished') {
      this.#ended = { at: time, outcome: record.outcome }
      if (record.message !== undefined) this.#write(time, null, `The run stopped: ${record.message}`, null)
    } else {
      this.#addWork(entry)
    }
  }

  result(): ReportData | undefined {
    const run = this.#run
    if (run === undefined) return undefined
    const standing = [...this.#changes.values()].filter((change) => !change.undone)
    const did = (kind: string): boolean => standing.some((change) => change.step === kind)
    return {
      run: run.id,
      playbook: run.playbook,
      startedAt: run.at,
      ended: this.#without === undefined ? this.#ended : null,
      ahead: this.#rolledBack ? [] : [...this.#titles].flatMap(([id, title]) => (this.#isAhead(id) ? [title] : [])),
      log: this.#log,
      figures: [...this.#figures].map(([step, each]) => ({ title: this.#titleOf(step), ...each })),
      reconciled: this.#reconciliation(),
      proven: this.#proven,
      findings: [...this.#findings.values()],
      principals: this.#principals,
      lowered: this.#lowered,
      noWayBack: standing.filter((change) => !change.undoable).map((change) => change.summary),
      did: {
        lowerTtl: did('lower-ttl'),
        cutover: did('cutover-dns'),
        reconcile: this.#reconciled.some((pass) => pass.newOnly !== true),
        parked: [...this.#findings.values()].some((finding) => finding.code === 'rows-parked'),
      },
    }
  }

  #addWork({ n, time, record }: JournalEntry): void {
    if ('step' in record && record.step === this.#without && this.#without !== undefined) return
    switch (record.type) {
      case 'step-started':
        this.#begun.set(record.step, time)
        return
      case 'change-begun':
        this.#changes.set(n, { step: record.step, summary: record.summary, undoable: record.undoable, undone: false })
        return
      case 'change-applied':
        this.#tellChange(record.of, time, '')
        return
      case 'change-undone':
        this.#tellChange(record.of, time, 'taken back: ')
        return
      case 'step-finished':
        this.#finished.add(record.step)
        if (record.skipped) return
        this.#write(time, record.step, `${this.#titleOf(record.step)}: done.`, record.seconds)
        this.#figures.set(record.step, { seconds: record.seconds, figures: record.figures })
        return
      case 'step-failed':
        this.#write(time, record.step, `${this.#titleOf(record.step)}: ${endingWord(record.ending)} ${record.message}`, null)
        return
      case 'finding':
        this.#findings.set(`${record.code} ${record.message}`, { ...record, hint: record.hint })
        return
      case 'observed': {
        const body = reconciledSchema.safeParse(record.body)
        if (body.success) this.#reconciled.push(body.data)
        return
      }
      case 'rollback-started':
        this.#rolledBack = true
        this.#write(time, null, 'The rollback began.', null)
        return
      case 'rolled-back':
        this.#write(time, null, 'Everything that can be taken back has been.', null)
        return
      default:
        return
    }
  }

  #tellDecision(value: unknown, time: string): void {
    const decided = goingBackSchema.safeParse(value).data
    if (decided === undefined) return
    const what = decided.decision === 'back' ? 'Decided to go back to the old host' : 'Decided to stay on the new host'
    this.#write(time, null, `${what} (${decided.by}): ${decided.reason}.`, null)
  }

  #tellChange(n: number, time: string, prefix: '' | 'taken back: '): void {
    const change = this.#changes.get(n)
    if (change === undefined) return
    if (prefix !== '') change.undone = true
    const { step, summary } = change
    const follows = this.#log.at(-1) === this.#row.last && this.#row.step === `${prefix}${step}` && this.#resumedAt === undefined
    const count = follows ? this.#row.count + 1 : 1
    const more = count - MOST_TOLD
    if (more > 1) this.#log.pop()
    const before = more > 0 ? `… and ${formatCount(more)} more, the last of them: ` : ''
    this.#write(time, step, `${before}${prefix}${summary}`, null)
    this.#row = { step: `${prefix}${step}`, count, last: this.#log.at(-1) }
  }

  #write(at: string, step: string | null, text: string, seconds: number | null): void {
    if (this.#resumedAt !== undefined)
      this.#log.push({ at: this.#resumedAt, step: null, text: 'The run was resumed.', seconds: null })
    this.#resumedAt = undefined
    this.#log.push({ at, step, text, seconds })
  }

  #isAhead(step: string): boolean {
    return step !== this.#without && !this.#finished.has(step)
  }

  #titleOf(step: string): string {
    return this.#titles.get(step) ?? step
  }

  #reconciliation(): ReportData['reconciled'] {
    const last = this.#reconciled.findLast((pass) => pass.newOnly !== true) ?? this.#reconciled.at(-1)
    if (last === undefined) return null
    // Going back is told by itself: what was carried forward before is in the time log.
    const passes = this.#reconciled.filter((pass) => pass.from === last.from)
    const tables = new Map<string, z.infer<typeof countsSchema>>()
    for (const pass of passes) {
      for (const [name, counts] of Object.entries(pass.tables)) tables.set(name, added(tables.get(name), counts))
    }
    // A cheap pass during the watch looks at newborn rows alone: it proves nothing.
    const proof = last.newOnly === true ? null : last.proof
    return { tables, headroom: last.headroom, proof, from: last.from ?? 'old' }
  }
}

const endingWord = (ending: string): string =>
  ending === 'waiting' ? 'waits.' : ending === 'interrupted' ? 'interrupted.' : 'failed.'

type Counts = z.infer<typeof countsSchema>

/** Parked rows are counted anew in each pass; all else adds up. */
function added(before: Counts | undefined, now: Counts): Counts {
  if (before === undefined) return now
  return {
    inserted: before.inserted + now.inserted,
    updated: before.updated + now.updated,
    deleted: before.deleted + now.deleted,
    merged: before.merged + now.merged,
    remapped: before.remapped + now.remapped,
    parked: now.parked,
  }
}
