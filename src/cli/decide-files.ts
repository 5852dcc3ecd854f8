import { shownPath } from '../files/raw-names.ts'
import type { FileTake, WrittenDecision } from '../playbook/index.ts'
import type { Problem } from '../playbook/problems.ts'
import type { FileDecision } from '../steps/file-decisions.ts'
import type { SeenFile } from './parked-files.ts'

interface SettledFiles {
  readonly decisions: readonly FileDecision[]
  /** Files that a decision was made about before, and that aren't parked any more. */
  readonly settled: readonly string[]
  /** What can't be done, each at its place in the file. */
  readonly problems: readonly Problem[]
}

/** Matches the lines of a file that are about files with those that are parked. `earlier`: the run's decisions so far. */
export function settleFiles(
  written: readonly WrittenDecision[],
  parked: readonly SeenFile[],
  earlier: readonly FileDecision[],
): SettledFiles {
  const decisions: FileDecision[] = []
  const settled: string[] = []
  const problems: Problem[] = []
  for (const each of written) {
    if (!('file' in each)) continue
    const { file, take, line, column } = each
    const seen = parked.find(({ path }) => path === file || shownPath(path) === file)
    if (seen === undefined) {
      if (earlier.some(({ path }) => path === file || shownPath(path) === file)) settled.push(file)
      else problems.push({ line, column, message: `No file ${file} is parked.`, hint: parkedHint(parked) })
    } else if (!takesFor(seen).includes(take)) {
      const message = `${file} can't be decided by ${take}: ${whyNot(take)}.`
      problems.push({ line, column, message, hint: `Take ${takesFor(seen).join(', ')}.` })
    } else decisions.push(decisionAbout(seen, take))
  }
  return { decisions, settled, problems }
}

export const decisionAbout = ({ path, source, target }: SeenFile, take: FileTake): FileDecision => ({
  path,
  take,
  source,
  target,
})

/** A folder can't take a file's place, nor be put beside it; and what one host removed has no version to keep both of. */
export function takesFor({ from, source, target }: SeenFile): readonly FileTake[] {
  const isPlain = source.kind !== 'folder' && target?.kind !== 'folder'
  const to = from === 'old' ? 'new' : 'old'
  return [...(isPlain ? [from] : []), to, ...(isPlain && target !== null ? (['both'] as const) : []), 'skip']
}

const whyNot = (take: FileTake): string =>
  take === 'both' ? 'there are no two files to keep' : 'a folder and a file can’t take each other’s place'

const SHOWN = 5

function parkedHint(parked: readonly SeenFile[]): string {
  if (parked.length === 0) return 'No file is parked.'
  const names = parked.slice(0, SHOWN).map(({ path }) => shownPath(path))
  return `Parked: ${names.join('; ')}${parked.length > SHOWN ? `; and ${parked.length - SHOWN} more` : ''}.`
}

/** Lines of a file of decisions to begin with, for where nothing can be asked. */
export const fileTemplate = (parked: readonly { readonly path: string }[]): readonly string[] => [
  ...parked.slice(0, SHOWN).map(({ path }) => `- { file: ${JSON.stringify(shownPath(path))}, take: both }`),
  ...(parked.length > SHOWN ? [`# … and ${parked.length - SHOWN} more files`] : []),
]
