import * as fs from 'node:fs'
import { join } from 'node:path'
import { nameBytes } from '../../src/files/raw-names.ts'
import { refusedByWindows } from '../../src/files/windows-names.ts'

/** A folder of this machine as Windows would take it: names fold case, and some are refused. */
export class IisFolder {
  readonly #root: string
  readonly #denied: () => string | undefined

  /** `denied`: the path below the root that nobody may look into. */
  constructor(root: string, denied: () => string | undefined) {
    this.#root = root
    this.#denied = denied
  }

  /** A path as the server shows it, of one given in the folder `at`. */
  virtual(path: string, at: string): string {
    const parts: string[] = []
    for (const part of (path.startsWith('/') ? path : `${at}/${path}`).split(/[/\\]/)) {
      if (part === '..') parts.pop()
      else if (part !== '' && part !== '.') parts.push(part)
    }
    return `/${parts.join('/')}`
  }

  /** Where a path is on this machine: case folded, as Windows takes it. `isNew`: its last part needn't be there. */
  find(path: string, from: string, isNew = false): string {
    let at = this.#root
    const denied = this.#denied()
    const parts = this.virtual(path, from)
      .split('/')
      .filter((part) => part !== '')
    for (const [index, given] of parts.entries()) {
      const part = given.replace(/[. ]+$/, '') || given
      if (refusedByWindows(part) !== undefined) throw new Refused('badName')
      const names = fs.existsSync(nameBytes(at)) ? fs.readdirSync(nameBytes(at), 'utf8') : []
      const found = names.find((name) => name.toLowerCase() === part.toLowerCase())
      if (found === undefined && !(isNew && index === parts.length - 1))
        throw new Refused(index < parts.length - 1 ? 'missingPath' : 'missing')
      at = join(at, found ?? part)
      if (denied !== undefined && at === join(this.#root, denied)) throw new Refused('denied')
    }
    return at
  }

  /** A place on this machine by its path below the root. */
  within(full: string): string {
    return full.slice(this.#root.length)
  }
}

/** By the name of the words. */
export class Refused extends Error {}

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'missing',
  ENOTEMPTY: 'notEmpty',
  EEXIST: 'exists',
  ENAMETOOLONG: 'badName',
}

export function wordsFor(error: unknown): string {
  if (error instanceof Refused) return error.message
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return WORDS[code] ?? 'other'
}

/** `10-05-24  12:27AM                  689 iisstart.htm`, in the server's own time; here it is UTC. */
export function listed(name: string, stats: fs.Stats): string {
  const [, year, month, day, hours, minutes] = /^\d\d(\d\d)-(\d\d)-(\d\d)T(\d\d):(\d\d)/.exec(stats.mtime.toISOString()) ?? []
  const half = Number(hours) < 12 ? 'AM' : 'PM'
  const hour = String(Number(hours) % 12 || 12).padStart(2, '0')
  const what = stats.isDirectory() ? '       <DIR>         ' : String(stats.size).padStart(21)
  return `${month}-${day}-${year}  ${hour}:${minutes}${half}${what} ${name}`
}
