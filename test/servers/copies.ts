import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { codeOf } from '../../src/base/errors.ts'

const MEMORY = '/dev/shm'
/** What the servers of some tests at a time may write, with much to spare. */
const ROOM_BYTES = 6 * 1024 ** 3

/**
 * Where servers keep their data in tests: in memory, where there is room. A cluster of PostgreSQL has a thousand files, each database of it three
 * hundred: made on a disk, a server's start and end took 0.8 s of a processor (measured on ext4 without a journal), in memory 0.4 s.
 */
export const dataRoom: string = isRoomy(MEMORY) ? MEMORY : tmpdir()

function isRoomy(folder: string): boolean {
  if (!existsSync(folder)) return false
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize >= ROOM_BYTES
}

/** Where the tests of one run share the data folders that servers begin with. */
const SHARED = 'MIGRATE_TEST_COPIES'

/** Vitest's global set-up: a folder for the run, and away with it afterwards. Each group of files asks for it; they share it. */
export default function setup(): (() => void) | undefined {
  if (process.env[SHARED] !== undefined) return undefined
  const shared = mkdtempSync(join(tmpdir(), 'migrate-copies-'))
  // The servers' accounts, which aren't root, work in it.
  chmodSync(shared, 0o755)
  process.env[SHARED] = shared
  return () => rmSync(shared, { recursive: true, force: true })
}

/** Where what has this name lies for all tests of a run, once `giveTo` has put it there; `undefined` outside a run of vitest. */
export function sharedPlace(name: string): string | undefined {
  const shared = process.env[SHARED]
  return shared === undefined ? undefined : join(shared, createHash('sha256').update(name).digest('hex').slice(0, 12))
}

/** Puts a folder in its shared place, unless another worker was faster. */
export function giveTo(path: string, made: string): void {
  try {
    renameSync(made, path)
  } catch (error) {
    if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error
    rmSync(made, { recursive: true, force: true })
  }
}

/** One of each in each worker, for the servers that it starts side by side. */
const originals = new Map<string, Promise<string>>()

/**
 * Fills `directory` with a copy of what `make` put into a folder of its own when the first test of the run asked for it by this name:
 * to make a server's data takes seconds of both processors, a copy a tenth of one. Outside a run of vitest, `make` fills `directory`.
 */
export async function copyOf(name: string, directory: string, make: (directory: string) => Promise<void>): Promise<void> {
  const path = sharedPlace(name)
  if (path === undefined) return await make(directory)
  const original = originals.get(path) ?? originalAt(path, make)
  originals.set(path, original)
  mkdirSync(directory, { recursive: true })
  // Logs of transactions are mostly zeros.
  execFileSync('cp', ['-a', ...(process.platform === 'linux' ? ['--sparse=always'] : []), `${await original}/.`, directory])
}

async function originalAt(path: string, make: (directory: string) => Promise<void>): Promise<string> {
  if (existsSync(path)) return path
  const made = `${path}.${process.pid}`
  await make(made)
  giveTo(path, made)
  return path
}
