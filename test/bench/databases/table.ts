import type { Work } from './measure.ts'

/** One move. */
export interface Measured {
  readonly seconds: number
  readonly peakBytes: number
  readonly work: Work
  readonly parts: Readonly<Record<string, number>>
  /** Questions and answers over all connections, where they were counted. */
  readonly roundTrips: number | undefined
}

export interface Failure {
  readonly message: string
  /** Seconds of what it did until then. */
  readonly parts: Readonly<Record<string, number>>
}

/** What a tool did with one kind of data on one engine. */
export interface Outcome {
  readonly engine: string
  readonly data: string
  readonly tool: string
  readonly isOurs: boolean
  readonly tables: number
  readonly measured: readonly Measured[]
  /** Why it has no figures. */
  readonly failure: Failure | undefined
}

const HEAD = ['engine', 'data', 'tool', 'seconds', 'ratio', 'peak MiB', 'CPU s, tool + rest', 'round trips a table']

/** A Markdown table, aligned; `ratio` is the time beside that of the best other tool, so what is below 1 was faster than all of them. */
export function tableText(outcomes: readonly Outcome[]): string {
  const rows = [...Map.groupBy(outcomes, (each) => `${each.engine}\n${each.data}`).values()].flatMap((group) => {
    const best = Math.min(
      ...group.filter((each) => !each.isOurs).map((each) => median(each)?.seconds ?? Number.POSITIVE_INFINITY),
    )
    return group.flatMap((outcome) => rowsOf(outcome, best))
  })
  const widths = HEAD.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`
  return [line(HEAD), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n')
}

function rowsOf(outcome: Outcome, best: number): readonly (readonly string[])[] {
  const { engine, data, tables } = outcome
  const tool = outcome.tool.replaceAll('|', '\\|')
  const one = median(outcome)
  if (one === undefined) return [[engine, data, tool, 'failed', '', '', '', ''], ...partsRow(outcome.failure?.parts ?? {})]
  const trips = one.roundTrips === undefined ? '' : (one.roundTrips / tables).toFixed(1)
  const peak = one.peakBytes === 0 ? '' : String(Math.round(one.peakBytes / 2 ** 20))
  const work = `${one.work.own.toFixed(1)} + ${one.work.rest.toFixed(1)}`
  const row = [engine, data, tool, one.seconds.toFixed(1), ratio(one.seconds, best), peak, work, trips]
  const baseline = one.parts.baseline
  if (baseline === undefined) return [row, ...partsRow(one.parts)]
  const without = one.seconds - baseline
  return [row, ['', '', 'without the baseline', without.toFixed(1), ratio(without, best), '', '', ''], ...partsRow(one.parts)]
}

const partsRow = (parts: Readonly<Record<string, number>>): readonly (readonly string[])[] => {
  const words = Object.entries(parts).map(([part, seconds]) => `${part} ${seconds.toFixed(1)}`)
  return words.length < 2 ? [] : [['', '', `of it: ${words.join(', ')}`, '', '', '', '', '']]
}

const ratio = (seconds: number, best: number): string => (Number.isFinite(best) ? (seconds / best).toFixed(2) : '')

function median({ measured }: Outcome): Measured | undefined {
  const sorted = measured.toSorted((a, b) => a.seconds - b.seconds)
  return sorted[sorted.length >> 1]
}
