import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { startSftpServer } from '../../src/demo/sftp-server.ts'
import type { SftpFaults } from '../../src/demo/sftp-session.ts'
import { openFtp } from '../../src/files/ftp/index.ts'
import type { FileHost } from '../../src/files/port.ts'
import { openSftp } from '../../src/files/sftp/index.ts'
import { rewriteConfigKind } from '../../src/steps/rewrite-config.ts'
import { errorOf, from, listed, plainly } from '../contract/files-kit.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'
import { perform, TestRun, takeBack, testContext, testWorld } from '../fakes/step-run.ts'
import { startIisFtpd } from '../servers/iis-ftpd.ts'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { between } from './between.ts'

/** A host whose rename replaces nothing. */
interface Host {
  readonly site: SiteFolder
  readonly host: FileHost
  /** The same host for another process. */
  again(): FileHost
  /** Decides what goes wrong with a renaming. */
  readonly faults: Pick<SftpFaults, 'renaming'>
  stop(): Promise<void>
}

const password = new Secret('correct horse')

async function iis(): Promise<Host> {
  const site = siteFolder()
  const server = await startIisFtpd(site.path)
  const { address, port } = server
  const again = (): FileHost => openFtp({ host: address, port, user: 'shop', password, root: '/', tls: 'none', connections: 2 })
  const host = again()
  return { site, host, again, faults: server, stop: () => host.close().then(() => server.close()) }
}

async function plainSftp(): Promise<Host> {
  const site = siteFolder()
  const faults: SftpFaults = {}
  const users = [{ name: 'shop', password: 'correct horse' }]
  const server = await startSftpServer({ folder: site.path, address: '127.0.0.1', users, faults })
  const { address, port, fingerprint } = server
  const again = (): FileHost => openSftp({ host: address, port, fingerprint, user: 'shop', password, root: '/', connections: 2 })
  const host = again()
  return { site, host, again, faults, stop: () => host.close().then(() => server.close()) }
}

const isPart = (path: string): boolean => path.endsWith('.migrate-part')

describe.each([
  ['IIS', iis],
  ['SFTP without posix-rename', plainSftp],
])('a host that replaces a file in two steps: %s', (_name, start) => {
  let at: Host
  const text = (path: string): string | undefined => at.site.read(path)?.toString()
  const begun = async (): Promise<void> => {
    at = await start()
    at.site.put('web.config', Buffer.from('old'))
  }
  const write = () => at.host.write('web.config', from('new'), plainly)
  afterEach(async () => {
    await at.stop()
    at.site.remove()
  })

  it('keeps the old file under its name when the new one may not have it', async () => {
    await begun()
    at.faults.renaming = (path, to) => (isPart(path) && to === '/web.config' ? 'refused' : undefined)
    expect(await errorOf(write())).toMatchObject({ retrySafe: false })
    expect(at.site.paths()).toEqual(['web.config'])
    expect(text('web.config')).toBe('old')
  })

  it('keeps the old file under its name when that may not step aside', async () => {
    await begun()
    at.faults.renaming = (path) => (path === '/web.config' ? 'refused' : undefined)
    expect(await errorOf(write())).toMatchObject({ retrySafe: false })
    expect(at.site.paths()).toEqual(['web.config'])
    expect(text('web.config')).toBe('old')
  })

  it('leaves a folder of that name where it is', async () => {
    at = await start()
    at.site.put('web.config/kept', Buffer.from('kept'))
    expect((await errorOf(write())).retrySafe).toBe(false)
    expect(at.site.paths()).toEqual(['web.config', 'web.config/kept'])
  })

  it('says where the old file is when it gives the name to neither', async () => {
    await begun()
    at.faults.renaming = (_path, to) => (to === '/web.config' ? 'refused' : undefined)
    const error = await errorOf(write())
    expect(error.message).toContain('what stood there is ".migrate-old-web.config" now')
    expect(text('.migrate-old-web.config')).toBe('old')
  })

  it('has the old file again before anything is looked at or written, when it broke off between the steps', async () => {
    for (const again of [() => at.host.stat('web.config'), write]) {
      if (again === write) at.site.put('web.config', Buffer.from('old'))
      else await begun()
      at.faults.renaming = (path, to) => (isPart(path) && to === '/web.config' ? 'cut' : undefined)
      expect((await errorOf(write())).code).toBe('files-connection-lost')
      expect([text('web.config'), text('.migrate-old-web.config')]).toEqual([undefined, 'old'])
      at.faults.renaming = undefined
      await again()
      expect(text('.migrate-old-web.config')).toBeUndefined()
      expect(text('web.config')).toBe(again === write ? 'new' : 'old')
    }
  })

  it('is set right by a sweep after a run that was killed between the steps', async () => {
    await begun()
    at.site.put('a/.migrate-old-wp-config.php', Buffer.from('old'))
    at.site.put('b/.migrate-old-x', Buffer.from('old'))
    at.site.put('b/x', Buffer.from('new'))
    await listed(at.host)
    expect(text('a/.migrate-old-wp-config.php')).toBe('old')
    await at.host.sweep?.()
    expect(at.site.paths()).toEqual(['a', 'a/wp-config.php', 'b', 'b/x', 'web.config'])
    expect(text('b/x')).toBe('new')
  })

  it.each([
    ['a file', 'img/logo.svg'],
    ['one whose name stands before that of what stepped aside', 'img/(1) logo.svg'],
  ])(
    'gets %s carried all the same when the run was killed between the steps, and nobody is asked about it',
    async (_which, path) => {
      at = await start()
      const [old, directory] = [new MemoryFiles('memory://old'), mkdtempSync(join(tmpdir(), 'migrate-two-steps-'))]
      const run = new TestRun(directory)
      old.put(path, 'old')
      const steps = between(old, at.host)
      await perform(steps.snapshot(), run)
      await perform(steps.restore(), run)
      await steps.restore().verify(run)
      old.put(path, 'newer', 0o644, 1_700_000_500)
      at.faults.renaming = (part, to) => (isPart(part) && to === `/${path}` ? 'cut' : undefined)
      expect((await errorOf(perform(steps.carry(), run))).code).toBe('files-connection-lost')
      expect(text(path)).toBeUndefined()
      at.faults.renaming = undefined
      const host = at.again()
      try {
        const carry = between(old, host).carry()
        expect(await perform(carry, run)).toMatchObject([{ do: 'carry', files: 1 }])
        expect((await carry.verify(run)).map(({ code }) => code)).toEqual(['files-carried'])
        expect(at.site.paths()).toEqual(['img', path])
        expect(text(path)).toBe('newer')
      } finally {
        await host.close()
        rmSync(directory, { recursive: true })
      }
    },
  )

  it('has its config when the run that rewrote it was killed between the steps and goes on, and after it was taken back', async () => {
    await begun()
    const directory = mkdtempSync(join(tmpdir(), 'migrate-two-steps-'))
    const run = new TestRun(directory)
    const rewriting = (files: FileHost) => {
      const options = rewriteConfigKind.options.parse([{ file: 'web.config', replace: { old: 'new' } }])
      return rewriteConfigKind.create(options, testContext(testWorld({ new: { files } }), 'rewrite-config'))
    }
    const killed = async (files: FileHost) => {
      at.faults.renaming = (path, to) => (isPart(path) && to === '/web.config' ? 'cut' : undefined)
      const planned = await rewriting(files).plan(run)
      for (const change of planned)
        expect((await errorOf(rewriting(files).apply(change, run))).code).toBe('files-connection-lost')
      expect(text('web.config')).toBeUndefined()
      at.faults.renaming = undefined
      return planned
    }
    const hosts = [at.again(), at.again()] as const
    try {
      const planned = await killed(at.host)
      expect(await perform(rewriting(hosts[0]), run)).toEqual(planned)
      expect([text('web.config'), at.site.paths()]).toEqual(['new', ['web.config']])
      await takeBack(rewriting(hosts[0]), planned, run)
      expect(text('web.config')).toBe('old')
      await killed(hosts[0])
      await takeBack(rewriting(hosts[1]), planned, run)
      expect(text('web.config')).toBe('old')
      expect(at.site.paths().filter((path) => path.startsWith('.migrate-old'))).toEqual([])
    } finally {
      for (const host of hosts) await host.close()
      rmSync(directory, { recursive: true })
    }
  })
})
