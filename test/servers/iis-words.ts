import type { Stats } from 'node:fs'

/** What IIS says: Windows' own words after 550 (Microsoft Learn, "System Error Codes (0-499)"). */
export const DENIED = '550 Access is denied.'
export const MISSING = '550 The system cannot find the file specified.'
export const BAD_NAME = '550 The filename, directory name, or volume label syntax is incorrect.'
export const FULL = '550 There is not enough space on the disk.'
export const IN_USE = '550 The process cannot access the file because it is being used by another process.'
export const EXISTS = '550 Cannot create a file when that file already exists.'

export class Refused extends Error {}

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: MISSING,
  ENOTEMPTY: '550 The directory is not empty.',
  EEXIST: EXISTS,
  ENAMETOOLONG: BAD_NAME,
}

export function wordsFor(error: unknown): string {
  if (error instanceof Refused) return error.message
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return WORDS[code] ?? '550 The parameter is incorrect.'
}

/** `10-05-24  12:27AM                  689 iisstart.htm`, in the server's own time; here it is UTC. */
export function listed(name: string, stats: Stats): string {
  const [, year, month, day, hours, minutes] = /^\d\d(\d\d)-(\d\d)-(\d\d)T(\d\d):(\d\d)/.exec(stats.mtime.toISOString()) ?? []
  const half = Number(hours) < 12 ? 'AM' : 'PM'
  const hour = String(Number(hours) % 12 || 12).padStart(2, '0')
  const what = stats.isDirectory() ? '       <DIR>         ' : String(stats.size).padStart(21)
  return `${month}-${day}-${year}  ${hour}:${minutes}${half}${what} ${name}`
}
