import { allBelowMatch, anyBelowMayMatch, globs } from './globs.ts'

/** Which paths of a site are wanted. */
export interface Choice {
  (path: string): boolean
  /** Whether anything below a folder may be wanted. False only when nothing can be, whatever its name: it need not be opened then. */
  readonly looksInto: (folder: string) => boolean
}

/** What an include and an exclude list of patterns leave (globs.ts); everything where there is none. */
export function choiceOf(include: readonly string[] | undefined, exclude: readonly string[] = []): Choice {
  const included = include === undefined ? () => true : globs(include)
  const excluded = globs(exclude)
  const mayBeIncluded = include === undefined ? () => true : anyBelowMayMatch(include)
  const areExcluded = allBelowMatch(exclude)
  return Object.assign((path: string): boolean => included(path) && !excluded(path), {
    looksInto: (folder: string): boolean => mayBeIncluded(folder) && !areExcluded(folder),
  })
}
