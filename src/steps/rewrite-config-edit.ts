import { MigrateError } from '../base/errors.ts'
import { CONFIG_FORMATS, FORMAT_KEYS } from '../files/config/formats.ts'
import { setValues } from '../files/config/set-values.ts'
import { decodeText, encodeText, type FileText, holdsAll, isInsideName, lineOf, replaceText } from '../files/text.ts'
import type { RewriteItem } from './rewrite-config-options.ts'

/** So many lines are named. */
const LISTED = 8

/** Everything that the playbook wants changed in one file. */
export interface FileItems {
  readonly file: string
  readonly items: readonly RewriteItem[]
}

/** One for each file, also when the playbook names it twice: what is planned for a file is planned at once. */
export function byFile(items: readonly RewriteItem[]): readonly FileItems[] {
  const files = new Map<string, RewriteItem[]>()
  for (const item of items) files.set(item.file, [...(files.get(item.file) ?? []), item])
  return [...files].map(([file, its]) => ({ file, items: its }))
}

/**
 * A file's text with all that is wanted of it; doing it twice is doing it once. `isBegun`: it may have been done already, so that a text that
 * stands nowhere may have been replaced; else every text must be there. Throws MigrateErrors that name the file and the host:
 * `config-text-missing`, `config-text-times`, `config-text-inside-name`, `config-text-unencodable`, `config-edits-unstable` and those of
 * `setValues`. The file was only read.
 */
export function rewritten({ file, items }: FileItems, bytes: Buffer, label: string, isBegun: boolean): Buffer {
  try {
    const before = decodeText(bytes)
    const text = editedText(items, before, before.text, isBegun)
    if (text === before.text) return bytes
    if (again(items, before, text) !== text) throw unstable()
    return encodeText({ ...before, text })
  } catch (error) {
    if (!(error instanceof MigrateError)) throw error
    throw new MigrateError(error.code, `${file} on ${label} ${error.message} It was left as it is.`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    })
  }
}

const editedText = (items: readonly RewriteItem[], file: FileText, text: string, isBegun: boolean): string =>
  items.reduce((result, item) => withSettings(item, file, withReplacements(item, result, isBegun)), text)

/** What would be made of the result the next time; what can't be found any more then was replaced by another line. */
function again(items: readonly RewriteItem[], file: FileText, text: string): string | undefined {
  try {
    return editedText(items, file, text, true)
  } catch (error) {
    if (error instanceof MigrateError) return undefined
    throw error
  }
}

function withReplacements(item: RewriteItem, text: string, isBegun: boolean): string {
  let result = text
  for (const [from, wanted] of Object.entries(item.replace ?? {})) {
    const { to, times } = typeof wanted === 'string' ? { to: wanted, times: undefined } : wanted
    const replaced = replaceText(result, from, to)
    const { matches, already } = replaced
    if (matches.length === 0 && !(isBegun && (already > 0 || to === ''))) throw textMissing(result, from, to, already)
    if (times !== undefined && matches.length > 0 && matches.length !== times) throw otherTimes(result, from, matches, times)
    // Who gives a number has counted them.
    const inside = times === undefined ? matches.filter((offset) => isInsideName(result, offset, from.length)) : []
    if (inside.length > 0) throw insideNames(result, from, inside, matches.length)
    result = replaced.text
  }
  return result
}

function withSettings(item: RewriteItem, file: FileText, text: string): string {
  const options = { ascii: !holdsAll(file), overExpressions: item.overwriteExpressions === true }
  return FORMAT_KEYS.reduce((result, key) => {
    const settings = item[key]
    return settings === undefined ? result : setValues(CONFIG_FORMATS[key], result, settings, options)
  }, text)
}

function linesOf(text: string, offsets: readonly number[]): string {
  const lines = [...new Set(offsets.map((offset) => lineOf(text, offset)))]
  const listed = lines.slice(0, LISTED).join(', ') + (lines.length > LISTED ? ', …' : '')
  return lines.length === 1 ? `line ${listed}` : `lines ${listed}`
}

function textMissing(text: string, from: string, to: string, already: number): MigrateError {
  const near = text.toLowerCase().indexOf(from.toLowerCase())
  const instead = already === 0 ? 'nor what was to stand in its place' : `though ${JSON.stringify(to)} stands there`
  const hint =
    near >= 0
      ? `It stands in line ${lineOf(text, near)} with other upper and lower case: correct the text in the playbook.`
      : 'Look at the file and correct the text in the playbook; upper and lower case matter.'
  const done = already === 0 ? '' : ' If it was changed by hand already, take this text out of the playbook.'
  return new MigrateError('config-text-missing', `holds ${JSON.stringify(from)} nowhere, ${instead}.`, { hint: hint + done })
}

/** `old.example.com` in `cdn-old.example.com`. */
const insideNames = (text: string, from: string, inside: readonly number[], count: number): MigrateError =>
  new MigrateError(
    'config-text-inside-name',
    `holds ${JSON.stringify(from)} also as a part of longer names, in ${linesOf(text, inside)}, which would be changed as well.`,
    {
      hint: `Write more of the text around it, or, if all of them are meant, say how many there are: ${JSON.stringify(from)}: { to: …, times: ${count} }.`,
    },
  )

const otherTimes = (text: string, from: string, matches: readonly number[], times: number): MigrateError =>
  new MigrateError(
    'config-text-times',
    `holds ${JSON.stringify(from)} ${matches.length} times, in ${linesOf(text, matches)}, and the playbook says ${times}.`,
    { hint: 'Write more of the text around it, so that only the right places match, or correct times:.' },
  )

const unstable = (): MigrateError =>
  new MigrateError(
    'config-edits-unstable',
    'would change again and again: one thing to be changed in it undoes or hides another.',
    {
      hint: 'Look at what the playbook gives for this file: no text may be replaced by one that another line replaces again.',
    },
  )
