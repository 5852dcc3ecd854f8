import { formatCount } from '../base/units.ts'
import type { FileTake } from '../playbook/index.ts'
import type { FileDecision } from '../steps/file-decisions.ts'
import { decisionAbout, takesFor } from './decide-files.ts'
import { parkedFileView } from './display/parked-file-view.ts'
import type { SeenFile } from './parked-files.ts'
import type { Choice, ResolveOptions } from './resolve.ts'

type Answer = FileTake | 'later' | 'quit'

/** The same as `askAbout` for parked files. */
export async function askAboutFiles(
  parked: readonly SeenFile[],
  options: Pick<ResolveOptions, 'write' | 'columns' | 'paint' | 'choose'>,
): Promise<readonly FileDecision[] | undefined> {
  if (parked.length === 0) return []
  const decisions: FileDecision[] = []
  for (const [index, file] of parked.entries()) {
    const difference = await file.difference()
    const view = parkedFileView(file, { ...options, difference, number: index + 1, total: parked.length })
    options.write(`\n${view.join('\n')}\n\n`)
    const answer = await options.choose('Which file shall hold?', choices(file))
    if (answer === undefined) return undefined
    if (answer === 'quit') break
    if (answer !== 'later') decisions.push(decisionAbout(file, answer))
  }
  const left = parked.length - decisions.length
  const rest = left === 0 ? '' : ` ${formatCount(left)} ${left === 1 ? 'stays' : 'stay'} parked.`
  options.write(`\nDecided: ${formatCount(decisions.length)} of ${formatCount(parked.length)} files.${rest}\n`)
  return decisions
}

function choices(file: SeenFile): readonly Choice<Answer>[] {
  const { from, target } = file
  const to = from === 'old' ? 'new' : 'old'
  const side = (host: 'old' | 'new'): Choice<Answer> => ({ value: host, label: `Take the ${host} host's`, hint: sideHint(host) })
  const sideHint = (host: 'old' | 'new'): string => {
    if (host === from) return `it ${target === null ? 'comes to' : 'replaces that of'} the ${to} host`
    return target === null ? `the ${to} host stays without it` : `the ${to} host stays as it is`
  }
  const offered: Readonly<Record<FileTake, Choice<Answer>>> = {
    old: side('old'),
    new: side('new'),
    both: { value: 'both', label: 'Keep both', hint: `the ${from} host's comes beside it under another name` },
    skip: { value: 'skip', label: 'Skip', hint: 'both hosts stay as they are, and nobody asks again' },
  }
  return [
    ...takesFor(file).map((take) => offered[take]),
    { value: 'later', label: 'Later', hint: 'it stays parked' },
    { value: 'quit', label: 'Stop here', hint: 'what was decided so far is carried out' },
  ]
}
