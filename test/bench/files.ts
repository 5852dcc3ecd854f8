import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { closeSync, createReadStream, existsSync, mkdirSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import type { Step } from '../../src/run/step.ts'
import { restoreFilesKind } from '../../src/steps/restore-files.ts'
import { snapshotFilesKind } from '../../src/steps/snapshot-files.ts'
import { TestRun, testContext, testWorld } from '../fakes/step-run.ts'
import { type Sshd, sshdMissing, startSshd } from '../servers/sshd.ts'

const RCLONE = '/usr/bin/rclone'

export interface FilesBenchOptions {
  /** Of 8 KiB each. */
  readonly files?: number
  /** Size of the one large file, bytes. */
  readonly large?: number
  readonly rounds?: number
  readonly print?: (line: string) => void
}

/** Seconds of each half. */
interface Timing {
  readonly snapshot: number
  readonly restore: number
}

/**
 * Moves small files, and one large one, from one folder to another over SFTP (Debian's sshd on loopback) with snapshot-files and
 * restore-files, and with rclone in two halves, in turns; prints medians and ratios. Throws when a byte of a copy differs.
 */
export async function benchFiles(options: FilesBenchOptions = {}): Promise<void> {
  const { files = 5000, large = 2 ** 30, rounds = 3, print = console.log } = options
  if (sshdMissing !== null) return print(`files: skipped, ${sshdMissing}`)
  const folder = await mkdtemp(join(tmpdir(), 'migrate-bench-'))
  const sshd = await startSshd()
  try {
    const small = join(folder, 'small')
    for (let index = 0; index < files; index += 1) put(join(small, `d${index % 50}`, `f${index}`), [randomBytes(8192)])
    await compare(`${files} files of 8 KiB`, sshd, small, folder, rounds, print)
    const one = join(folder, 'one')
    const piece = randomBytes(2 ** 20)
    put(
      join(one, 'large'),
      Array.from({ length: Math.ceil(large / piece.length) }, () => piece),
    )
    await compare(`1 file of ${Math.round(large / 2 ** 20)} MiB`, sshd, one, folder, rounds, print)
  } finally {
    await sshd.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function compare(
  what: string,
  sshd: Sshd,
  source: string,
  folder: string,
  rounds: number,
  print: (line: string) => void,
): Promise<void> {
  const hasRclone = existsSync(RCLONE)
  if (!hasRclone) print('files: rclone is not installed, its rows are skipped')
  const expected = await treeHash(source)
  const ours: Timing[] = []
  const theirs: Timing[] = []
  for (let round = 0; round < rounds; round += 1) {
    ours.push(await measured(folder, expected, (keep, target) => withMigrate(sshd, source, keep, target)))
    if (hasRclone) theirs.push(await measured(folder, expected, (keep, target) => withRclone(sshd, source, keep, target)))
  }
  for (const half of ['snapshot', 'restore'] as const) {
    const mine = median(ours.map((timing) => timing[half]))
    const its = theirs.length === 0 ? undefined : median(theirs.map((timing) => timing[half]))
    const beside = its === undefined ? '' : `, rclone ${its.toFixed(2)} s (migrate takes ${(mine / its).toFixed(2)} of that)`
    print(`files: ${half} of ${what}: migrate ${mine.toFixed(2)} s${beside}`)
  }
}

async function measured(
  folder: string,
  expected: string,
  move: (keep: string, target: string) => Promise<Timing>,
): Promise<Timing> {
  const [keep, target] = [await mkdtemp(join(folder, 'keep-')), await mkdtemp(join(folder, 'target-'))]
  const timing = await move(keep, target)
  if ((await treeHash(target)) !== expected) throw new Error('the copy differs from its source')
  await Promise.all([keep, target].map((path) => rm(path, { recursive: true, force: true })))
  return timing
}

async function withMigrate(sshd: Sshd, source: string, keep: string, target: string): Promise<Timing> {
  const { address, port, user, key, fingerprint } = sshd
  const open = (root: string) => openSftp({ host: address, port, user, key, fingerprint, root, connections: 4 })
  const [old, fresh] = [open(source), open(target)]
  const world = testWorld({ old: { files: old }, new: { files: fresh } })
  const run = new TestRun(keep)
  const perform = async (step: Step): Promise<number> => {
    const begun = systemClock.monotonic()
    for (const change of await step.plan(run)) await step.apply(change, run)
    return (systemClock.monotonic() - begun) / 1000
  }
  try {
    const snapshot = await perform(snapshotFilesKind.create({}, testContext(world, 'snapshot-files')))
    const restore = await perform(
      restoreFilesKind.create(restoreFilesKind.options.parse({}), testContext(world, 'restore-files')),
    )
    return { snapshot, restore }
  } finally {
    await Promise.all([old.close(), fresh.close()])
  }
}

/** Without rclone's own hashing, which starts a command on the host for every file: both copies are hashed here, outside the time. */
async function withRclone(sshd: Sshd, source: string, keep: string, target: string): Promise<Timing> {
  const knownHosts = join(keep, 'known_hosts')
  writeFileSync(knownHosts, sshd.knownHosts)
  const remote = (path: string): string =>
    `:sftp,host=${sshd.address},port=${sshd.port},user=${sshd.user},key_file=${sshd.key},known_hosts_file=${knownHosts},disable_hashcheck=true:${path}`
  const copy = async (from: string, to: string): Promise<number> => {
    const begun = systemClock.monotonic()
    await run(RCLONE, ['--config', '/dev/null', '--transfers', '16', '--checkers', '16', 'copy', from, to])
    return (systemClock.monotonic() - begun) / 1000
  }
  const kept = join(keep, 'files')
  return { snapshot: await copy(remote(source), kept), restore: await copy(kept, remote(target)) }
}

function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`${command} ended with ${code}`))))
  })
}

function put(path: string, pieces: readonly Buffer[]): void {
  mkdirSync(dirname(path), { recursive: true })
  const file = openSync(path, 'w')
  for (const piece of pieces) writeSync(file, piece)
  closeSync(file)
}

/** One hash over every path and content. */
async function treeHash(folder: string): Promise<string> {
  const hash = createHash('sha256')
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort()
  for (const path of paths) {
    hash.update(`\0${path.slice(folder.length)}\0`)
    for await (const chunk of createReadStream(path)) hash.update(chunk)
  }
  return hash.digest('hex')
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
