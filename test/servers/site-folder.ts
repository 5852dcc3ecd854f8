import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { nameBytes, nameFrom } from '../../src/files/raw-names.ts'

/** A temporary folder that plays a host's site. */
export interface SiteFolder {
  readonly path: string
  put(path: string, bytes: Buffer, mode?: number, mtimeSeconds?: number): void
  folder(path: string): void
  link(path: string, target: string): void
  read(path: string): Buffer | undefined
  /** Every path, sorted. */
  paths(): readonly string[]
  /** Every path with kind, mode, time and content: equal for equal folders. */
  image(): readonly string[]
  remove(): void
}

/** In memory where the system has a place for that: thousands of small files are made and removed. */
const fastest = fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

export function siteFolder(parent = fastest): SiteFolder {
  const root = fs.mkdtempSync(join(parent, 'migrate-site-'))
  const full = (path: string): Buffer => nameBytes(join(root, path))
  const below = (folder: string): readonly string[] =>
    fs.readdirSync(full(folder), { encoding: 'buffer', withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, nameFrom(entry.name))
      return entry.isDirectory() ? [path, ...below(path)] : [path]
    })
  const paths = (): string[] => below('').toSorted()
  const read = (path: string): Buffer | undefined => (fs.existsSync(full(path)) ? fs.readFileSync(full(path)) : undefined)
  const imageOf = (path: string): string => {
    const stats = fs.lstatSync(full(path))
    const mode = (stats.mode & 0o7777).toString(8)
    if (stats.isDirectory()) return `${path} folder ${mode}`
    if (stats.isSymbolicLink()) return `${path} -> ${fs.readlinkSync(full(path))}`
    return `${path} ${mode} ${Math.floor(stats.mtimeMs / 1000)} ${fs.readFileSync(full(path)).toString('base64')}`
  }
  return {
    path: root,
    put: (path, bytes, mode = 0o644, mtimeSeconds = 1_200_000_000) => {
      fs.mkdirSync(full(dirname(path)), { recursive: true })
      fs.writeFileSync(full(path), bytes)
      fs.chmodSync(full(path), mode)
      fs.utimesSync(full(path), mtimeSeconds, mtimeSeconds)
    },
    folder: (path) => {
      fs.mkdirSync(full(path), { recursive: true })
    },
    link: (path, target) => {
      fs.mkdirSync(full(dirname(path)), { recursive: true })
      fs.symlinkSync(nameBytes(target), full(path))
    },
    read,
    paths,
    image: () => paths().map(imageOf),
    remove: () => fs.rmSync(root, { recursive: true, force: true }),
  }
}
