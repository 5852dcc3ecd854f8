/** One move. */
export interface Measured {
  readonly seconds: number
  readonly peakBytes: number
  readonly parts: Readonly<Record<string, number>>
  /** Questions and answers over all connections, where they were counted. */
  readonly roundTrips: number | undefined
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
  readonly failure: string | undefined
}

const HEAD = ['engine', 'data', 'tool', 'seconds', 'ratio', 'peak MiB', 'round trips a table']

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
  const { engine, data, tool, tables } = outcome
  const one = median(outcome)
  if (one === undefined) return [[engine, data, tool, 'failed', '', '', '']]
  const trips = one.roundTrips === undefined ? '' : (one.roundTrips / tables).toFixed(1)
  const peak = one.peakBytes === 0 ? '' : String(Math.round(one.peakBytes / 2 ** 20))
  const row = [engine, data, tool.replaceAll('|', '\\|'), one.seconds.toFixed(1), ratio(one.seconds, best), peak, trips]
  const baseline = one.parts.baseline
  if (baseline === undefined) return [row]
  const without = one.seconds - baseline
  const parts = Object.entries(one.parts).map(([part, seconds]) => `${part} ${seconds.toFixed(1)}`)
  return [
    row,
    ['', '', 'without the baseline', without.toFixed(1), ratio(without, best), '', ''],
    ['', '', `of it: ${parts.join(', ')}`, '', '', '', ''],
  ]
}

const ratio = (seconds: number, best: number): string => (Number.isFinite(best) ? (seconds / best).toFixed(2) : '')

function median({ measured }: Outcome): Measured | undefined {
  const sorted = measured.toSorted((a, b) => a.seconds - b.seconds)
  return sorted[sorted.length >> 1]
}
