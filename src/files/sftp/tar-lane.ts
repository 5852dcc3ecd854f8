import { shellWord } from './command.ts'
import type { SftpPool } from './pool.ts'
import { ProgramLane } from './program-lane.ts'

/**
 * Unpacks one archive after the other, each into a new folder that nobody else may look into: its `mkdir` fails where anything stands under
 * that name. One shell for all of them: to start one may take a third of a second on a host whose account loads a lot when it logs in. The files
 * have numbers for names, so nothing on the way can be a link, and the names of the site are never read by a shell. Says a folder's name
 * when all is there, and ends when something went wrong: what comes after it would be taken for something else.
 */
const script = (root: string): string =>
  [
    `cd -- ${shellWord(root)} && while read -r d n`,
    'do mkdir -m 700 "$d" && head -c "$n" | LC_ALL=C tar --extract --file=- --directory="$d" --same-permissions --no-same-owner && echo "$d" || exit 1',
    'done',
  ].join('; ')

/** One shell at work on the host. */
export class TarLane extends ProgramLane {
  readonly #folders: string[] = []
  #heard = ''

  /** `root`: absolute, on the host. */
  constructor(pool: SftpPool, root: string) {
    super(pool, `exec sh -c ${shellWord(script(root))}`)
  }

  /** Unpacks an archive, whole as given, into a new folder of the root; resolves with whether all of it is there. */
  unpack(folder: string, archive: readonly Buffer[]): Promise<boolean> {
    const bytes = archive.reduce((sum, piece) => sum + piece.length, 0)
    this.#folders.push(folder)
    return this.give(Buffer.from(`${folder} ${bytes}\n`), ...archive)
  }

  protected override hear(bytes: Buffer): void {
    const lines = (this.#heard + bytes.toString('latin1')).split('\n')
    this.#heard = lines.pop() ?? ''
    for (const line of lines) this.answered(this.#folders.shift() === line)
  }
}
