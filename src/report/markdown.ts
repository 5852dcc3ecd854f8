import { counted, formatBytes, formatCount, formatDuration } from '../base/units.ts'
import type { LogLine, ReportData, ReportFinding } from './data.ts'
import { cell } from './markdown-cells.ts'
import { provenLines } from './proof-markdown.ts'

/** The report as Markdown: time log, figures, what to know, what to do next, and the frame of a post-mortem. */
export function renderMarkdown(data: ReportData): string {
  const sections = [
    head(data),
    followUps(data),
    timeLog(data),
    figures(data),
    reconciled(data),
    findings(data),
    principals(data),
    POST_MORTEM,
  ]
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`
}

/** For people: no milliseconds, UTC. */
const clockTime = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 19)}`

function head({ playbook, run, startedAt, ended, ahead }: ReportData): string {
  const outcome = ended?.outcome === 'ok' ? 'done' : ended?.outcome
  const end =
    ended === null
      ? ''
      : ` Ended ${clockTime(ended.at)}: ${ahead.length > 0 && outcome === 'done' ? 'done as far as was asked' : outcome}.`
  return `# The move of ${cell(playbook)}\n\nRun ${run}, begun ${clockTime(startedAt)} (UTC).${end}`
}

function timeLog({ log }: ReportData): string {
  const line = ({ at, step, text, seconds }: LogLine): string =>
    `| ${clockTime(at)} | ${step === null ? '' : cell(step)} | ${cell(text)} | ${seconds === null ? '' : formatDuration(seconds * 1000)} |`
  return ['## Time log', '', '| when (UTC) | step | what | took |', '| --- | --- | --- | ---: |', ...log.map(line)].join('\n')
}

const amount = (unit: string, value: number): string =>
  unit === 'bytes' ? formatBytes(value) : `${formatCount(value)} ${value === 1 ? unit.slice(0, -1) : unit}`

function figures({ figures }: ReportData): string {
  const moved = figures.filter((each) => Object.keys(each.figures).length > 0)
  if (moved.length === 0) return ''
  const lines = moved.map(({ title, seconds, figures: values }) => {
    const amounts = Object.entries(values).map(([unit, value]) => amount(unit, value))
    return `- ${cell(title)}: ${amounts.join(', ')} in ${formatDuration(seconds * 1000)}`
  })
  return ['## Figures', '', ...lines].join('\n')
}

function reconciled({ reconciled: result, proven }: ReportData): string {
  if (result === null) return ''
  const { tables, headroom, proof } = result
  const rows = [...tables]
    .filter(([, counts]) => Object.values(counts).some((count) => count > 0))
    .map(
      ([name, c]) =>
        `| ${cell(name)} | ${[c.inserted, c.updated, c.deleted, c.merged, c.remapped, c.parked].map(formatCount).join(' | ')} |`,
    )
  const carried =
    rows.length === 0
      ? ['No row had to be carried over.']
      : [
          '| table | inserted | updated | deleted | merged | remapped | parked |',
          '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
          ...rows,
        ]
  const use = headroom.map(
    ({ table, column, raisedBy, used, left, host }) =>
      `- ${cell(column === '' ? table : `${table}.${column}`)}${host === 'new' ? " (the new host's: the old one's numbers were moved past it)" : ''}: raised by ${whole(raisedBy)}, used ${whole(used)}, left ${whole(left)}`,
  )
  const side = result.from
  const verdict =
    proof === null
      ? `No full pass has compared the hosts yet: these rows were carried as they were born.`
      : proof.unaccounted === 0
        ? `Proof: every one of the ${side} host's ${formatCount(proof.rows)} rows is accounted for.`
        : `**${formatCount(proof.unaccounted)} of the ${side} host's ${formatCount(proof.rows)} rows are not accounted for.**`
  return [
    `## Rows carried over from the ${side} host`,
    '',
    ...carried,
    '',
    verdict,
    ...(proven === null ? [] : ['', ...provenLines(proven)]),
    ...(use.length === 0 ? [] : ['', '### Headroom of the identities', '', ...use]),
  ].join('\n')
}

const whole = (decimal: string): string => (/^-?\d+$/.test(decimal) ? formatCount(BigInt(decimal)) : decimal)

function findings({ findings: all }: ReportData): string {
  const order: readonly ReportFinding['severity'][] = ['error', 'warning', 'info']
  const lines = order.flatMap((severity) =>
    all
      .filter((finding) => finding.severity === severity && finding.code !== 'no-way-back')
      .map(({ step, message, hint }) => {
        const where = step === null ? '' : ` (${cell(step)})`
        return `- ${severity}${where}: ${cell(message)}${hint === undefined ? '' : ` ${cell(hint)}`}`
      }),
  )
  return lines.length === 0 ? '' : ['## What was found', '', ...lines].join('\n')
}

function principals({ principals: all }: ReportData): string {
  if (all.length === 0) return ''
  const lines = all.map(
    ({ name, grants }) => `- ${cell(name)}: ${grants.length === 0 ? 'no grants' : grants.map(cell).join('; ')}`,
  )
  return ['## Database users and grants, not copied', '', 'Make those that are still needed on the new host.', '', ...lines].join(
    '\n',
  )
}

function followUps({ did, lowered, noWayBack, ahead, findings: all }: ReportData): string {
  const [next] = ahead
  const items = [
    ...(next === undefined ? [] : [`Go on: \`migrate run PLAYBOOK\`. ${notThrough(next, ahead.length - 1)}`]),
    ...(did.parked ? ['Decide about the rows that were parked: `migrate reconcile PLAYBOOK --resolve`.'] : []),
    ...(did.lowerTtl ? [raiseTtls(lowered)] : []),
    ...(did.cutover
      ? [
          'Keep the old host for at least three days: some resolvers hold on to old answers. Then save its logs, and close it.',
          'Change the passwords that were used for the move.',
          'See that backups, scheduled jobs, certificate renewal and outgoing mail work on the new host.',
        ]
      : []),
    ...(did.cutover && !did.reconcile
      ? ['Run `migrate reconcile PLAYBOOK`: orders may have been written on the old host since the snapshot.']
      : []),
    ...(all.some((finding) => finding.severity === 'warning') ? ['Go through the warnings above.'] : []),
    ...noWayBack.map((summary) => `Can’t be taken back by migrate: ${cell(summary)}.`),
  ]
  return items.length === 0 ? '' : ['## To do', '', ...items.map((item) => `- [ ] ${item}`)].join('\n')
}

const notThrough = (next: string, more: number): string =>
  `The move isn’t through: ${cell(next)}${more === 0 ? '' : `, and ${counted(more, 'more step')}`}.`

/** `Raise the TTL of the DNS records again: A shop.example from 60 s to 3600 s.` */
function raiseTtls(lowered: ReportData['lowered']): string {
  const seconds = (ttl: number): string => (ttl === 1 ? 'automatic' : `${ttl} s`)
  const each = lowered.map(({ name, type, from, to }) => `${type} ${cell(name)} from ${seconds(to)} to ${seconds(from)}`)
  return `Raise the TTL of the DNS records again${each.length === 0 ? '' : `: ${each.join('; ')}`}.`
}

const POST_MORTEM = `## Post-mortem

### What happened, and whom it touched

### What went well

### What went badly, and where we were lucky

### Why

### What we change, who does it, and by when`
