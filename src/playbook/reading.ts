import { homedir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { type Redactor, Secret } from '../base/secret.ts'
import type { Path, Source } from './source.ts'
import { type HostUrl, parseHostUrl } from './url.ts'

/** What every part of the playbook is read with. */
export interface Reading {
  readonly source: Source
  readonly redactor: Redactor
  /** Folder of the playbook, absolute. */
  readonly directory: string
  readonly env: Readonly<Record<string, string | undefined>>
}

export function urlAt(text: string, at: Path, source: Source): HostUrl | undefined {
  const url = parseHostUrl(source.entry(at)?.pieces ?? [{ text, literal: true }])
  if (!('fault' in url)) return url
  source.complain(at, `${source.name(at)} ${url.fault}.`, url.hint)
  return undefined
}

export function passwordOf(
  url: HostUrl,
  beside: string | undefined,
  path: Path,
  { source, redactor }: Reading,
): Secret | undefined {
  if (url.password !== undefined && beside !== undefined) {
    source.complain(
      [...path, 'password'],
      `${source.name(path)} has two passwords.`,
      'Keep either the one in the URL or the key password:.',
      'key',
    )
  }
  if (url.password?.reveal() === '')
    source.complain(path, `The password in ${source.name(path)} is empty.`, 'Fill it in, or remove the colon before the @.')
  const password = beside === undefined ? url.password : new Secret(beside)
  if (password) redactor.add(password)
  return password
}

/** A value that is kept out of every message from here on. */
export function kept(value: string, redactor: Redactor): Secret {
  const secret = new Secret(value)
  redactor.add(secret)
  return secret
}

export const home = (path: string): string => (path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path)
export const absolute = (path: string, directory: string): string => {
  const known = home(path)
  return isAbsolute(known) ? known : resolve(directory, known)
}
