import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { openLocal } from '../../src/files/local.ts'
import { errorOf } from '../contract/files-kit.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { perform, TestRun } from '../fakes/step-run.ts'
import { ftpdMissing, startProftpd, startVsftpd } from '../servers/ftpd.ts'
import { siteFolder } from '../servers/site-folder.ts'
import { between, overFtp } from './between.ts'
import { Carrying } from './carrying.ts'
import { startMove } from './moving-files.ts'

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const aRun = (): TestRun => {
  const run = new TestRun(mkdtempSync(join(tmpdir(), 'migrate-told-')))
  ends.push(() => rmSync(run.directory, { recursive: true, force: true }))
  return run
}
const aSite = () => {
  const site = siteFolder()
  ends.push(() => site.remove())
  return site
}

/** From now on a file of the host changes whenever it was read. Returns what was read of it last. */
function restless(host: MemoryFiles, path: string): () => string {
  const read = host.read.bind(host)
  let times = 0
  host.read = async (each, options) => {
    const content = await read(each, options)
    if (each !== path) return content
    times += 1
    host.put(path, `state ${times}`, 0o644, 1_700_001_000 + times)
    return content
  }
  return () => `state ${times - 1}`
}

describe('a file that changes every time it is read', () => {
  it('is kept as it was read last, and the snapshot says so', async () => {
    const [old, fresh, run] = [new MemoryFiles('memory://old'), new MemoryFiles('memory://new'), aRun()]
    old.put('still', 'here')
    old.put('log', 'state 0')
    const lastRead = restless(old, 'log')
    const steps = between(old, fresh)
    await perform(steps.snapshot(), run)
    expect(await steps.snapshot().verify(run)).toMatchObject([
      { code: 'snapshot-files-whole' },
      { severity: 'warning', code: 'file-keeps-changing', message: expect.stringMatching(/^1 files .*: log\.$/) },
    ])
    await perform(steps.restore(), run)
    expect(fresh.nodes.get('log')?.bytes.toString()).toBe(lastRead())
    expect(fresh.nodes.get('still')?.bytes.toString()).toBe('here')
  })

  it('is carried as it was read last, which is told, and the next pass brings what came since', async () => {
    const both = await Carrying.begin({ still: 'here', log: 'state 0' })
    ends.push(() => both.end())
    const read = both.old.read
    both.old.put('log', 'state 0 again', 0o644, 1_700_001_000)
    const lastRead = restless(both.old, 'log')
    await both.pass()
    const told = { event: 'finding', severity: 'warning', code: 'file-keeps-changing', message: expect.stringContaining('log') }
    expect(both.run.events).toContainEqual(expect.objectContaining(told))
    expect(both.textOf(both.fresh, 'log')).toBe(lastRead())
    both.old.read = read
    expect((await both.pass()).codes).toEqual(['files-carried'])
    expect(both.fresh.fingerprint()).toBe(both.old.fingerprint())
  })
})

it('a large file that breaks off on its way to the new host goes on at the byte, not only in the host’s own contract', async () => {
  const move = await startMove()
  ends.push(() => move.stop())
  const large = randomBytes(7_000_000)
  move.old.site.put('large.bak', large)
  await perform(move.snapshot(), move.run)
  const resumed: (number | undefined)[] = []
  const write = move.new.host.write.bind(move.new.host)
  move.new.host.write = async (...args) => {
    const written = await write(...args)
    resumed.push(written.resumedAt)
    return written
  }
  move.new.faults.cutAfterBytes = 6_000_000
  expect((await errorOf(perform(move.restore(), move.run))).code).toBe('files-connection-lost')
  await perform(move.restore(), move.run)
  expect(resumed).toEqual([expect.any(Number)])
  expect(resumed[0]).toBeGreaterThan(1_000_000)
  expect(move.new.site.read('large.bak')?.equals(large)).toBe(true)
})

it('what is no file, folder or link is named and not copied', async () => {
  const [old, fresh, run] = [aSite(), aSite(), aRun()]
  old.put('page', Buffer.from('1'))
  execFileSync('mkfifo', [join(old.path, 'pipe')])
  const steps = between(openLocal(old.path), openLocal(fresh.path))
  await perform(steps.snapshot(), run)
  expect(await steps.snapshot().verify(run)).toMatchObject([
    { code: 'snapshot-files-whole' },
    { severity: 'warning', code: 'file-not-copied', message: expect.stringContaining(': pipe.') },
  ])
  await perform(steps.restore(), run)
  expect((await steps.restore().verify(run)).map(({ severity }) => severity)).toEqual(['info'])
  expect(fresh.paths()).toEqual(['page'])
})

describe.skipIf(ftpdMissing !== null)(`over plain FTP${ftpdMissing === null ? '' : ` (skipped: ${ftpdMissing})`}`, () => {
  it.each([
    ['neither encrypts nor hashes is told of: a changed byte would not be noticed', startVsftpd, ['files-unproven']],
    ['hashes its files is not: what arrives is proven by that', startProftpd, []],
  ] as const)('an old host that %s', async (_, start, codes) => {
    const [old, fresh, run] = [aSite(), aSite(), aRun()]
    chmodSync(old.path, 0o755)
    old.put('page', Buffer.from('1'))
    const { host, end } = await overFtp(await start({ site: old.path }))
    ends.push(end)
    const findings = await between(host, openLocal(fresh.path)).restore().check(run)
    expect(findings.flatMap(({ code }) => (code === 'files-unproven' ? [code] : []))).toEqual(codes)
  })
})
