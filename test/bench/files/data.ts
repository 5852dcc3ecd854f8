import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readdirSync, readSync, utimesSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface Data {
  readonly name: string
  readonly files: number
  readonly bytesEach: number
}

const PIECE = 2 ** 20
const LONG_AGO = 1_700_000_000

const pathOf = (folder: string, index: number): string => join(folder, `d${index % 100}`, `f${index}`)

export function makeData(folder: string, { files, bytesEach }: Data): void {
  const random = randomBytes(Math.min(PIECE, bytesEach))
  for (let index = 0; index < files; index += 1) put(pathOf(folder, index), random, bytesEach, index, LONG_AGO)
}

/** Gives one file of a hundred other content, of the same length, and the time of now. */
export function changeSome(folder: string, { files, bytesEach }: Data): number {
  const random = randomBytes(Math.min(PIECE, bytesEach))
  let changed = 0
  for (let index = 0; index < files; index += 100, changed += 1)
    put(pathOf(folder, index), random, bytesEach, index, LONG_AGO + 3600)
  return changed
}

/** No two files, and no two pieces of one, are the same. */
function put(path: string, random: Buffer, bytes: number, index: number, mtime: number): void {
  mkdirSync(dirname(path), { recursive: true })
  const file = openSync(path, 'w')
  for (let at = 0; at < bytes; at += random.length) {
    random.writeUInt32BE(index, 0)
    random.writeUInt32BE(at / random.length, 4)
    writeSync(file, random.subarray(0, Math.min(random.length, bytes - at)))
  }
  closeSync(file)
  utimesSync(path, mtime, mtime)
}

/** Throws when a path or a byte of a copy isn't its source's. */
export function sameTrees(source: string, copy: string, who: string): void {
  const [wanted, found] = [source, copy].map((folder) => paths(folder).map((path) => path.slice(folder.length)))
  if (JSON.stringify(wanted) !== JSON.stringify(found)) throw new Error(`the copy by ${who} has other files than its source`)
  const [ours, theirs] = [Buffer.alloc(PIECE), Buffer.alloc(PIECE)]
  for (const path of wanted ?? []) {
    const [one, other] = [openSync(source + path, 'r'), openSync(copy + path, 'r')]
    for (let length = -1; length !== 0; ) {
      length = readSync(one, ours)
      if (readSync(other, theirs) !== length || ours.compare(theirs, 0, length, 0, length) !== 0)
        throw new Error(`the copy by ${who} differs from its source in ${path}`)
    }
    closeSync(one)
    closeSync(other)
  }
}

const paths = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
