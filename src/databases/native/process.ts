import { MigrateError } from '../../base/errors.ts'
import type { ProgramEnd } from '../../base/program.ts'

/** Throws `native-tool-failed` with the program's own words unless it ended well. `untouched`: what was left as it was. */
export function expectSuccess(end: ProgramEnd, doing: string, untouched: string): ProgramEnd {
  if (end.exit === 0) return end
  const words = [end.stderr, end.stdout].find((text) => text.trim() !== '') ?? 'It wrote nothing.'
  throw new MigrateError(
    'native-tool-failed',
    `${doing} ended with exit code ${end.exit}. ${untouched} Its last lines:\n${words}`,
    {
      hint: 'Mend what it complains of and run again; or set method: portable, which needs none of the engine’s own tools.',
    },
  )
}
