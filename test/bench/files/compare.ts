import { execFile } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { formatBytes } from '../../../src/base/units.ts'
import { changeSome, type Data, makeData, paths, treeHash } from './data.ts'
import type { Asked, Measured } from './ours.ts'
import { type Remote, type Tool, timed } from './tools.ts'

export interface Hosts {
  readonly old: Asked['old']
  readonly new: Asked['new']
}

export interface Comparison {
  readonly data: Data
  readonly delayMs: number
  readonly folder: string
  readonly tools: readonly Tool[]
  readonly rounds: number
  /** A tool is stopped after so many seconds a half; what it would have taken is told by how far it came. */
  readonly limitSeconds: number
  readonly connections: number
  readonly again: boolean
  /** `sites`: the served folders, as they lie here. */
  hosts(sites: { readonly old: string; readonly new: string }): Hosts
  print(line: string): void
}

/** Seconds; `isDone` false: reckoned from how far it came. */
interface Row {
  readonly get: number
  readonly put: number | null
  readonly unchanged: number | null
  readonly changed: number | null
  readonly isDone: boolean
}

/** Moves the same data with migrate and with every tool, in turns; prints medians and ratios. Throws when a byte of a copy differs. */
export async function compare(comparison: Comparison): Promise<void> {
  const { data, tools, rounds, delayMs, print } = comparison
  const ours: Measured[] = []
  const theirs = new Map<Tool, Row[]>(tools.map((tool) => [tool, []]))
  for (let round = 0; round < rounds; round += 1) {
    ours.push(await inFolders(comparison, (places) => withMigrate(comparison, places)))
    for (const [tool, rows] of theirs) rows.push(await inFolders(comparison, (places) => withTool(comparison, tool, places)))
  }
  const memory = Math.max(...ours.map(({ mostMemory }) => mostMemory))
  print(`files: ${data.name}, ${delayMs} ms away`)
  const own = medians(ours.map((each) => ({ ...each, isDone: true })))
  print(`  ${'migrate'.padEnd(18)} ${told(own)}, at most ${formatBytes(memory)} of memory`)
  for (const [tool, rows] of theirs) {
    const its = medians(rows)
    print(`  ${tool.name.padEnd(18)} ${told(its)}; migrate is ${ratios(its, own)} as fast`)
  }
}

interface Places {
  readonly old: string
  readonly new: string
  readonly keep: string
}

async function inFolders<T>({ folder, data }: Comparison, move: (places: Places) => Promise<T>): Promise<T> {
  const places = { old: join(folder, 'old'), new: join(folder, 'new'), keep: join(folder, 'keep') }
  for (const path of Object.values(places)) {
    rmSync(path, { recursive: true, force: true })
    mkdirSync(path)
  }
  makeData(places.old, data)
  return move(places)
}

async function same(places: Places, who: string): Promise<void> {
  if ((await treeHash(places.old)) !== (await treeHash(places.new))) throw new Error(`the copy by ${who} differs from its source`)
}

async function withMigrate(comparison: Comparison, places: Places): Promise<Measured> {
  const again = comparison.again ? { source: places.old, data: comparison.data } : null
  const asked: Asked = { ...comparison.hosts(places), keep: places.keep, connections: comparison.connections, again }
  const program = fileURLToPath(new URL('./ours.ts', import.meta.url))
  mkdirSync(join(places.keep, 'run'))
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(asked)])
  await same(places, 'migrate')
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

async function withTool(comparison: Comparison, tool: Tool, places: Places): Promise<Row> {
  const { data, limitSeconds, again } = comparison
  const hosts = comparison.hosts(places)
  const half = async (args: readonly string[], into: string): Promise<{ seconds: number; isDone: boolean }> => {
    const { seconds, isDone } = await timed(tool.program, args, limitSeconds)
    if (isDone) return { seconds, isDone }
    // What is there is counted by whole files: of a single large one nothing can be told.
    const share = paths(into).length / data.files
    return { seconds: share > 0 && data.files > 100 ? seconds / share : seconds, isDone }
  }
  const get = await half(tool.get(hosts.old as Remote, places.keep), places.keep)
  if (!get.isDone) return { get: get.seconds, put: null, unchanged: null, changed: null, isDone: false }
  const put = await half(tool.put(places.keep, hosts.new as Remote), places.new)
  const row = { get: get.seconds, put: put.seconds, unchanged: null, changed: null, isDone: put.isDone }
  if (!put.isDone) return row
  await same(places, tool.name)
  if (!again || !tool.knowsChanges) return row
  const both = async (): Promise<number> => {
    const first = await half(tool.get(hosts.old as Remote, places.keep), places.keep)
    const second = await half(tool.put(places.keep, hosts.new as Remote), places.new)
    return first.seconds + second.seconds
  }
  const unchanged = await both()
  changeSome(places.old, data)
  const changed = await both()
  await same(places, tool.name)
  return { ...row, unchanged, changed }
}

function medians(rows: readonly Row[]): Row {
  const of = (pick: (row: Row) => number | null): number | null => {
    const values = rows.map(pick).filter((value) => value !== null)
    return values.length === 0 ? null : (values.toSorted((a, b) => a - b)[values.length >> 1] ?? null)
  }
  return {
    get: of((row) => row.get) ?? 0,
    put: of((row) => row.put),
    unchanged: of((row) => row.unchanged),
    changed: of((row) => row.changed),
    isDone: rows.every((row) => row.isDone),
  }
}

const PARTS = [
  ['get', (row: Row) => row.get],
  ['put', (row: Row) => row.put],
  ['both', (row: Row) => (row.put === null ? null : row.get + row.put)],
  ['no change', (row: Row) => row.unchanged],
  ['1 % changed', (row: Row) => row.changed],
] as const

const told = (row: Row): string =>
  PARTS.flatMap(([name, of]) => {
    const seconds = of(row)
    return seconds === null ? [] : [`${name} ${row.isDone ? '' : 'about '}${seconds.toFixed(2)} s`]
  }).join(', ')

const ratios = (its: Row, own: Row): string =>
  PARTS.flatMap(([name, of]) => {
    const [theirs, ours] = [of(its), of(own)]
    return theirs === null || ours === null ? [] : [`${name} ${(theirs / ours).toFixed(2)} ×`]
  }).join(', ')
