import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import manifest from '../package.json' with { type: 'json' }
import type { Answer, Order } from '../src/files/hash-thread.ts'
import { oldNode } from './cli/old-node.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const MINUTES = 60_000
const WANTED = ['bin/migrate.js', 'dist/cli/main.js', 'dist/LICENSES.txt', 'package.json', 'LICENSE', 'README.md']
/** A crowd that leaves nobody on the old host shows nothing. */
const STRAYS = 30

let folder: string
let packed: readonly string[]
let program: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'migrate-package-'))
  const report = npm(['pack', '--json', '--pack-destination', folder])
  // The build's own words come before the report.
  const [contents] = JSON.parse(report.slice(report.search(/^\[\s*\{/m))) as readonly {
    readonly files: readonly { readonly path: string }[]
  }[]
  packed = contents?.files.map((file) => file.path) ?? []
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? ''
  const prefix = join(folder, 'installed')
  npm([
    'install',
    '--global',
    '--prefix',
    prefix,
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    join(folder, tarball),
  ])
  program = join(prefix, 'bin', 'migrate')
}, 10 * MINUTES)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the packed program', () => {
  test('holds what it needs and nothing else', () => {
    expect(packed).toEqual(expect.arrayContaining(WANTED))
    expect(packed.filter((path) => /^(src|test|scripts|\.ci)\/|\.ts$|\.log$/.test(path))).toEqual([])
  })

  test('is installed with npm and says its version', () => {
    const said = spawnSync(process.execPath, [program, '--version'], { encoding: 'utf8' })
    expect(said.stderr).toBe('')
    expect(said.stdout.trim()).toBe(manifest.version)
    expect(said.status).toBe(0)
  })

  test('hashes large files in a thread of its own', async () => {
    const thread = new Worker(join(folder, 'installed/lib/node_modules', manifest.name, 'dist/cli/hash-thread.js'))
    const answer = new Promise((resolve, reject) => thread.once('message', resolve).once('error', reject))
    thread.postMessage({ hash: 1, asks: true } satisfies Order)
    expect(await answer).toEqual({ hash: 1, sha256: createHash('sha256').digest('hex') } satisfies Answer)
    await thread.terminate()
  })

  test('answers a playbook that is wrong with exit code 2', () => {
    const said = spawnSync(process.execPath, [program, 'check', join(folder, 'missing.yml')], { encoding: 'utf8' })
    expect(said.status).toBe(2)
  })

  test('plays the whole demo: moves a shop in trade, and every receipt is borne out by the new host', {
    timeout: 4 * MINUTES,
  }, () => {
    const temporary = join(folder, 'temporary')
    mkdirSync(temporary)
    for (const each of [folder, temporary]) chmodSync(each, 0o711) // As root, the database servers run as somebody else and must get through.
    const { stdout, status } = spawnSync(process.execPath, [program, 'demo', '--json'], {
      env: { ...process.env, TMPDIR: temporary },
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
    const [receipts, finished] = events.slice(-2)
    expect(receipts).toMatchObject({ event: 'receipts', faults: [], failedPurchases: 0 })
    expect(receipts?.good).toBe(receipts?.receipts)
    expect(receipts?.carried).toBeGreaterThanOrEqual(STRAYS)
    expect(finished).toMatchObject({ event: 'finished', outcome: 'ok', exit: 0 })
    expect(status).toBe(0)
    expect(events.filter((event) => event.event === 'finished')).toHaveLength(1)
    expect(readdirSync(temporary)).toEqual([])
  })

  test.skipIf(oldNode === undefined)(
    'runs on the Node that comes with it where the machine’s is too old (needs an old Node beside this one)',
    () => {
      const said = spawnSync(oldNode ?? '', [program, 'check', join(folder, 'missing.yml')], { encoding: 'utf8' })
      expect(said.stderr).toContain('missing.yml')
      expect(said.stderr).not.toContain('needs Node')
      expect(said.status).toBe(2)
    },
  )

  test.skipIf(oldNode === undefined)(
    'says in one line that a Node is too old, and none came with it (needs an old Node beside this one)',
    () => {
      mkdirSync(join(folder, 'alone', 'bin'), { recursive: true })
      writeFileSync(join(folder, 'alone', 'package.json'), '{ "type": "module" }')
      const alone = join(folder, 'alone', 'bin', 'migrate.js')
      copyFileSync(join(ROOT, 'bin', 'migrate.js'), alone)
      const said = spawnSync(oldNode ?? '', [alone, '--version'], { encoding: 'utf8' })
      expect(said.stdout).toBe('')
      expect(said.stderr.trim().split('\n')).toHaveLength(1)
      expect(said.stderr).toContain('needs Node')
      expect(said.status).toBe(2)
    },
  )
})

/** npm's standard output; its words on failure. */
function npm(args: readonly string[]): string {
  const done = spawnSync('npm', [...args], { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 26, stdio: ['ignore', 'pipe', 'pipe'] })
  if (done.status !== 0) throw new Error(`npm ${args.join(' ')} failed:\n${done.stdout}${done.stderr}`)
  return done.stdout
}
