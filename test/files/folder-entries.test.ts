import { expect, it } from 'vitest'
import { FolderEntries } from '../../src/files/folder-entries.ts'
import { comparePaths } from '../../src/files/paths.ts'
import type { FileEntry } from '../../src/files/port.ts'

const KINDS = ['file', 'folder', 'link', 'other'] as const
const LETTERS = ['a', 'B', 'é', '漢', '\u{ffee}', '😀', '\u{10fe80}', '-', ' ']

/** Names of one to three letters and a number, in no order. */
const entryOf = (folder: string, number: number): FileEntry => {
  const letters = [number % 9, (number * 7) % 9, (number * 5) % 9].slice(0, 1 + (number % 3)).map((each) => LETTERS[each])
  const kind = KINDS[number % 4] ?? 'file'
  return {
    path: `${folder}/${letters.join('')}${(number * 7919) % 20_011}`,
    kind,
    size: kind === 'file' ? 2 ** 32 + number : 0,
    mode: number % 5 === 0 ? null : 0o7777 & number,
    mtimeSeconds: 1_700_000_000 + number / 2,
    target: kind === 'link' ? `../${number}` : null,
  }
}

it.each([10, 20_000])('%i entries of one folder come in the order of paths, each as it was given', (count) => {
  const given = Array.from({ length: count }, (_, number) => entryOf('images/große', number))
  const entries = new FolderEntries('images/große')
  for (const entry of given) entries.add(entry)
  const sorted = given.toSorted((a, b) => comparePaths(a.path, b.path))
  const folders = sorted.flatMap(({ kind, path }) => (kind === 'folder' ? [path] : []))
  expect(entries.length).toBe(count)
  expect([...entries.sort()]).toEqual(sorted)
  expect([...entries.folders()]).toEqual(folders)
  // Side by side, as a walk reads them that asks for folders beforehand.
  const ahead = entries.folders()
  const named = [...entries].flatMap(({ kind, path }) => (kind === 'folder' ? [[path, ahead.next().value]] : []))
  expect(named).toEqual(folders.map((path) => [path, path]))
  entries.close()
})
