import { Boundary, type LookUp } from '../boundary.ts'
import type { SftpChannel } from './channel.ts'
import { entryAt } from './listing.ts'
import { labelOf, type SftpOptions } from './options.ts'
import type { SftpPool } from './pool.ts'

/** The root on a host, and what of its folders is known to be within. */
export class SftpRoot extends Boundary {
  readonly #path: string

  /** `path`: absolute, on the host. */
  constructor(label: string, path: string) {
    super(label, path)
    this.#path = path
  }

  /** The path on the host of something whose folder was found to be within. */
  full(path: string): string {
    if (path === '') return this.#path
    return this.#path === '/' ? `/${path}` : `${this.#path}/${path}`
  }

  /**
   * Throws `path-escapes-root` when what stands under a path by now is a link that leads out of the root: for a file that is open already, so
   * that nothing waits for it, and no matter what stood there when it was listed.
   */
  async checkStanding(path: string, channel: SftpChannel): Promise<void> {
    const stats = await channel.lstat(this.full(path))
    if (stats.isSymbolicLink()) await this.checkFollowed(path, this.by(channel))
  }

  /** Asks the host for each folder by itself (lstat). */
  by(channel: SftpChannel): LookUp {
    return (path) => entryAt(channel, path, this.full(path))
  }
}

/** The root, looked for when it is first wanted. */
export class RootOf {
  readonly #find: () => Promise<SftpRoot>
  #finding: Promise<SftpRoot> | undefined
  /** Once it was found. */
  known: SftpRoot | undefined

  constructor(options: SftpOptions, pool: SftpPool) {
    this.#find = () => findRoot(options, pool)
  }

  find(): Promise<SftpRoot> {
    this.#finding ??= this.#find().then(
      (root) => {
        this.known = root
        return root
      },
      (error: unknown) => {
        this.#finding = undefined
        throw error
      },
    )
    return this.#finding
  }
}

/** The folder that the playbook names, with a `~` at its beginning filled in as the server says it. */
async function findRoot(options: SftpOptions, pool: SftpPool): Promise<SftpRoot> {
  const label = labelOf(options)
  const { root } = options
  if (!root.startsWith('~')) return new SftpRoot(label, root.replace(/(?<=.)\/+$/, ''))
  const home = await pool.use(({ channel }) => channel.realPath('.'))
  const below = root.slice(1).replace(/\/+$/, '')
  return new SftpRoot(label, below === '' ? home : `${home === '/' ? '' : home}${below}`)
}
