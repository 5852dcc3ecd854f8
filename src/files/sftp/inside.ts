import { Boundary, type LookUp } from '../boundary.ts'
import type { SftpChannel } from './channel.ts'
import { entryAt } from './listing.ts'

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

  /** Asks the host for each folder by itself (lstat). */
  by(channel: SftpChannel): LookUp {
    return (path) => entryAt(channel, path, this.full(path))
  }
}
