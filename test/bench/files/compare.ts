import { execFile } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { formatBytes } from '../../../src/base/units.ts'
import { changeSome, type Data, makeData, sameTrees } from './data.ts'
import type { Asked, Measured } from './ours.ts'
import { type Ended, type Remote, type Tool, timed } from './tools.ts'

export interface Hosts {
  readonly old: Asked['old']
  readonly new: Asked['new']
}

export interface Comparison {
  readonly data: Data
  readonly delayMs: number
  /** Megabits a second of each host’s line, either way; null: any. */
  readonly mbit: number | null
  readonly folder: string
  readonly tools: readonly Tool[]
  readonly rounds: number
  /** A tool is stopped when it has taken so many times as long as migrate, and so many seconds at least. */
  readonly stopAt: { readonly times: number; readonly seconds: number }
  readonly connections: number
  /** Also once more with nothing changed, and once more with 1 % changed. */
  readonly again: boolean
  /** Also with snapshot and restore side by side. */
  readonly relay: boolean
  /** `sites`: the served folders, as they lie here. */
  hosts(sites: { readonly old: string; readonly new: string }): Hosts
  print(line: string): void
}

const PARTS = ['get', 'put', 'no change', '1 % changed'] as const
type Part = (typeof PARTS)[number]
/** Parts that a tool has none of are absent. */
type Row = Partial<Record<Part, Ended>>

/** Moves the same data with migrate and with every tool; prints a table of medians, row by row. Throws when a byte of a copy differs. */
export async function compare(comparison: Comparison): Promise<void> {
  const { data, tools, rounds, delayMs, mbit, print } = comparison
  const parts = comparison.again ? PARTS : PARTS.slice(0, 2)
  const inRounds = async <T>(move: (places: Places) => Promise<T>): Promise<T[]> => {
    const moved: T[] = []
    while (moved.length < rounds) moved.push(await inFolders(comparison, move))
    return moved
  }
  const line = mbit === null ? '' : `, ${mbit} Mbit/s`
  print(`| ${data.name}, ${delayMs} ms away${line} | ${parts.join(' | ')} |\n| --- |${' --- |'.repeat(parts.length)}`)
  const moves = await inRounds((places) => withMigrate(comparison, places, 'in turn'))
  const own = medians(moves.map(rowOf))
  const memory = formatBytes(Math.max(...moves.map(({ mostMemory }) => mostMemory)))
  const processor = (median(moves.map((move) => move.processor)) ?? 0).toFixed(1)
  print(
    `| migrate, ${memory} of memory, ${processor} s of the processor | ${parts.map((part) => secondsOf(own[part])).join(' | ')} |`,
  )
  for (const tool of tools) {
    const its = medians(await inRounds((places) => withTool(comparison, tool, places, own)))
    print(`| ${tool.name} | ${parts.map((part) => `${secondsOf(its[part])}${times(its[part], own[part])}`).join(' | ')} |`)
  }
  if (comparison.relay) {
    const together = await inRounds((places) => withMigrate(comparison, places, 'together'))
    print(togetherLine(median(together.map(({ get }) => get)) ?? 0, own))
  }
  print('')
}

const togetherLine = (both: number, { get, put }: Row): string => {
  const slower = Math.max(get?.seconds ?? 0, put?.seconds ?? 0)
  return `| migrate, get and put side by side | ${both.toFixed(2)} s, ${(both / slower).toFixed(2)} × the slower of the two |`
}

interface Places {
  readonly old: string
  readonly new: string
  readonly keep: string
}

async function inFolders<T>({ folder, data }: Comparison, move: (places: Places) => Promise<T>): Promise<T> {
  const places = { old: join(folder, 'old'), new: join(folder, 'new'), keep: join(folder, 'keep') }
  const empty = (): void => {
    for (const path of Object.values(places)) rmSync(path, { recursive: true, force: true })
  }
  empty()
  for (const path of Object.values(places)) mkdirSync(path)
  makeData(places.old, data)
  try {
    return await move(places)
  } finally {
    empty()
  }
}

async function withMigrate(comparison: Comparison, places: Places, how: Asked['how']): Promise<Measured> {
  const again = comparison.again && how === 'in turn' ? { source: places.old, data: comparison.data } : null
  const asked: Asked = { ...comparison.hosts(places), keep: places.keep, connections: comparison.connections, how, again }
  const program = fileURLToPath(new URL('./ours.ts', import.meta.url))
  mkdirSync(join(places.keep, 'run'))
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(asked)])
  sameTrees(places.old, places.new, 'migrate')
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

const rowOf = ({ get, put, unchanged, changed }: Measured): Row => {
  const done = (seconds: number | null): Ended | undefined => (seconds === null ? undefined : { seconds, isDone: true })
  return without({ get: done(get), put: done(put), 'no change': done(unchanged), '1 % changed': done(changed) })
}

const without = (row: { readonly [K in Part]: Ended | undefined }): Row =>
  Object.fromEntries(Object.entries(row).filter(([, ended]) => ended !== undefined))

async function withTool(comparison: Comparison, tool: Tool, places: Places, ours: Row): Promise<Row> {
  const { data, stopAt, again } = comparison
  const hosts = comparison.hosts(places)
  const within = (part: Part): number => Math.max(stopAt.seconds, stopAt.times * (ours[part]?.seconds ?? 0))
  const half = async (which: 'get' | 'put', most: number): Promise<Ended> => {
    const args = which === 'get' ? tool.get(hosts.old as Remote, places.keep) : tool.put(places.old, hosts.new as Remote)
    const ended = await timed(tool.program, args, most)
    if (ended.isDone) sameTrees(places.old, which === 'get' ? places.keep : places.new, tool.name)
    return ended
  }
  const both = async (part: Part): Promise<Ended> => {
    const first = await half('get', within(part))
    if (!first.isDone) return first
    const second = await half('put', within(part) - first.seconds)
    return { seconds: first.seconds + second.seconds, isDone: second.isDone }
  }
  const get = await half('get', within('get'))
  const put = await half('put', within('put'))
  if (!again || !tool.knowsChanges || !get.isDone || !put.isDone) return { get, put }
  const unchanged = await both('no change')
  changeSome(places.old, data)
  return { get, put, 'no change': unchanged, '1 % changed': await both('1 % changed') }
}

const median = (values: readonly number[]): number | undefined => values.toSorted((a, b) => a - b)[values.length >> 1]

function medians(rows: readonly Row[]): Row {
  const of = (part: Part): Ended | undefined => {
    const ended = rows.flatMap((row) => row[part] ?? [])
    const seconds = median(ended.map((each) => each.seconds))
    return seconds === undefined ? undefined : { seconds, isDone: ended.every(({ isDone }) => isDone) }
  }
  return without({ get: of('get'), put: of('put'), 'no change': of('no change'), '1 % changed': of('1 % changed') })
}

const secondsOf = (ended: Ended | undefined): string =>
  ended === undefined ? '–' : `${ended.isDone ? '' : '> '}${ended.seconds.toFixed(2)} s`

/** How many times as long as migrate. */
const times = (its: Ended | undefined, own: Ended | undefined): string =>
  its === undefined || own === undefined
    ? ''
    : ` (${its.isDone ? '' : '> '}${(its.seconds / own.seconds).toFixed(2)} ×${its.isDone ? '' : ', stopped'})`
