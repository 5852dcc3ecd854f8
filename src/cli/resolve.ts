import { MigrateError } from '../base/errors.ts'
import { counted, formatCount } from '../base/units.ts'
import type { Decision } from '../reconcile/decisions.ts'
import { keyLabel } from '../reconcile/fingerprint.ts'
import type { ParkedRow } from '../reconcile/parked.ts'
import { decisionOf, type Take, template } from './decide.ts'
import { fileTemplate } from './decide-files.ts'
import type { Paint } from './display/frame.ts'
import { type Cells, parkedView } from './display/parked-view.ts'
import type { SeenFile } from './parked-files.ts'

/** One answer that may be given. */
export interface Choice<T extends string> {
  readonly value: T
  readonly label: string
  readonly hint: string
}

export interface ResolveOptions {
  readonly write: (text: string) => void
  readonly columns: number
  readonly paint: Paint
  /** The host whose rows are carried. */
  readonly from: 'old' | 'new'
  /** Lets the person choose; `undefined` when they leave without an answer (Ctrl-C, Escape). */
  readonly choose: <T extends string>(question: string, choices: readonly Choice<T>[]) => Promise<T | undefined>
  /** The row that is in a parked one's way, as it stands now. */
  readonly collided: (row: ParkedRow) => Promise<Cells | undefined>
}

type Answer = Take | 'later' | 'quit'

/**
 * Walks through the parked rows, one after the other. Returns what was decided, `undefined` when the person left: then nothing of
 * it counts.
 */
export async function askAbout(parked: readonly ParkedRow[], options: ResolveOptions): Promise<readonly Decision[] | undefined> {
  const decisions: Decision[] = []
  for (const [index, row] of parked.entries()) {
    const collided = row.collision === null ? undefined : await options.collided(row)
    const view = parkedView(row, { ...options, number: index + 1, total: parked.length, collided })
    options.write(`\n${view.join('\n')}\n\n`)
    const answer = await options.choose('What shall hold?', choices(row, options.from))
    if (answer === undefined) return undefined
    if (answer === 'quit') break
    const decision = answer === 'later' ? undefined : decisionOf(row, answer)
    if (decision !== undefined) decisions.push(decision)
  }
  const left = parked.length - decisions.length
  const rest = left === 0 ? '' : ` ${formatCount(left)} ${left === 1 ? 'stays' : 'stay'} parked.`
  options.write(`\nDecided: ${formatCount(decisions.length)} of ${formatCount(parked.length)}.${rest}\n`)
  return decisions
}

function choices(row: ParkedRow, from: 'old' | 'new'): readonly Choice<Answer>[] {
  const to = from === 'old' ? 'new' : 'old'
  const cells = { [from]: row.sourceRow, [to]: row.targetRow }
  const side = (host: 'old' | 'new'): Choice<Answer> => ({
    value: host,
    label: `Take the ${host} host's`,
    hint:
      host === from && row.collision !== null
        ? `only once ${keyLabel(row.collision.key)} of the ${to} host has made room for it`
        : sideHint(host, { isThere: cells[host] !== null, isTarget: host === to, to }),
  })
  const merge: Choice<Answer> = {
    value: 'merge',
    label: `Merge it into ${keyLabel(row.collision?.key ?? '[]')} of the ${to} host`,
    hint: 'they are the same thing; what refers to it is led there',
  }
  return [
    side('old'),
    side('new'),
    ...(row.collision === null ? [] : [merge]),
    { value: 'skip', label: 'Skip', hint: 'both hosts stay as they are, and nobody asks again' },
    { value: 'later', label: 'Later', hint: 'it stays parked' },
    { value: 'quit', label: 'Stop here', hint: 'what was decided so far is carried out' },
  ]
}

function sideHint(
  host: 'old' | 'new',
  { isThere, isTarget, to }: { readonly isThere: boolean; readonly isTarget: boolean; readonly to: 'old' | 'new' },
): string {
  if (isTarget) return isThere ? `the ${host} host stays as it is` : `the ${host} host stays without it`
  return isThere ? `it is written to the ${to} host` : `it is deleted on the ${to} host`
}

/** Without a terminal nobody is asked: how to decide all the same. */
export function nobodyToAsk(parked: readonly ParkedRow[], files: readonly SeenFile[]): MigrateError {
  const waiting = [
    ...(parked.length === 0 ? [] : [counted(parked.length, 'row')]),
    ...(files.length === 0 ? [] : [counted(files.length, 'file')]),
  ]
  const takes = files.length === 0 ? 'old, new, merge or skip' : 'old, new or skip; merge for rows, both for files'
  const lines = [...(parked.length === 0 ? [] : [template(parked)]), ...fileTemplate(files)]
  return new MigrateError(
    'decisions-needed',
    `${waiting.join(' and ')} ${parked.length + files.length === 1 ? 'is' : 'are'} parked, and there is no terminal to ask in. Nothing was changed.`,
    {
      ending: 'waiting',
      hint: `Run it in a terminal, or write your decisions (take: ${takes}) to a file, then:  migrate reconcile PLAYBOOK --decisions decisions.yml\n${lines.join('\n')}`,
    },
  )
}
