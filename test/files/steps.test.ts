import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { Json } from '../../src/base/json.ts'
import type { Step } from '../../src/run/step.ts'
import { perform, takeBack } from '../fakes/step-run.ts'
import { fillShop, type Move, startMove } from './moving-files.ts'

let move: Move
beforeEach(async () => {
  move = await startMove()
  fillShop(move.old.site)
})
afterEach(() => move.stop())

const codes = async (step: Step): Promise<readonly string[]> => (await step.verify(move.run)).map((finding) => finding.code)

async function errorOf(work: Promise<unknown>): Promise<MigrateError> {
  const outcome = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (outcome instanceof MigrateError) return outcome
  throw outcome ?? new Error('nothing was thrown')
}

describe('files from one host to another', () => {
  it('leave nothing of one that was cut off on its way, when all is taken back', async () => {
    move.new.site.put('web.config', Buffer.from('the host’s own welcome'))
    const before = move.new.site.image()
    await perform(move.snapshot(), move.run)
    const done = await perform(move.restore(), move.run)
    // As a process leaves it that was killed.
    rmSync(join(move.new.site.path, 'images/poster.tif'))
    move.new.site.put('images/.poster.tif.migrate-part', Buffer.alloc(1000))
    move.new.site.put('.web.config.migrate-part', Buffer.alloc(10))
    await takeBack(move.restore(), done, move.run)
    expect(move.new.site.image()).toEqual(before)
  })

  it('arrive as they were, and then nothing is left to do', async () => {
    const image = move.old.site.image()
    expect(await move.snapshot().check(move.run)).toEqual([])
    expect(await perform(move.snapshot(), move.run)).toHaveLength(1)
    expect(await codes(move.snapshot())).toEqual(['snapshot-files-whole'])
    expect((await move.restore().check(move.run)).filter(({ severity }) => severity !== 'info')).toEqual([])
    expect(await perform(move.restore(), move.run)).toHaveLength(1)
    expect(await codes(move.restore())).toEqual(['restored-files-read-back'])
    expect(move.new.site.image()).toEqual(image)
    expect(await move.snapshot().plan(move.run)).toEqual([])
    expect(await move.restore().plan(move.run)).toEqual([])
    expect(move.old.site.image()).toEqual(image)
    expect(move.old.writes()).toBe(0)
  })

  it('say beforehand how many and how large they are, and write nothing for that', async () => {
    move.run.dryRun = true
    const [snapshot] = await move.snapshot().plan(move.run)
    const [restore] = await move.restore().plan(move.run)
    expect(move.snapshot().describe(snapshot ?? null)).toMatch(/^fetch 124 files, .* from sftp:\/\/shop@127/)
    expect(move.restore().describe(restore ?? null)).toMatch(/^upload about 124 files/)
    expect(move.new.site.paths()).toEqual([])
    expect(move.new.writes()).toBe(0)
  })

  it('have programs begun on the new host while it is planned what they will put there; not for a plan alone, nor when they did it', async () => {
    await perform(move.snapshot(), move.run)
    const begun = vi.spyOn(move.new.host, 'prepare')
    move.run.dryRun = true
    await move.restore().plan(move.run)
    move.run.dryRun = false
    await perform(move.restore(), move.run)
    await move.restore().plan(move.run)
    expect(begun.mock.calls.map(([purpose]) => purpose)).toEqual(['list', 'list-to-write', 'write', 'list'])
  })

  it('follow include and exclude', async () => {
    await perform(move.snapshot({ include: ['images/**', '*.html'], exclude: ['*.tif'] }), move.run)
    await perform(move.restore(), move.run)
    const paths = move.new.site.paths()
    expect(paths).toContain('pages/größe & preis.html')
    expect(paths).toContain('images/newest.png')
    expect(paths).not.toContain('images/poster.tif')
    expect(paths).not.toContain('web.config')
  })

  it('leave no trace when both steps are undone, and what stood there before is given back byte for byte', async () => {
    move.new.site.put('web.config', Buffer.from('the host’s own welcome'), 0o600, 1_000_000_000)
    move.new.site.put('images/shirt-3.png', Buffer.alloc(200_000, 'z'), 0o644, 1_000_000_001)
    move.new.site.put('untouched.html', Buffer.from('stays'))
    const before = move.new.site.image()
    await perform(move.snapshot(), move.run)
    const done = await perform(move.restore({ delete: true }), move.run)
    expect(move.new.site.image()).toEqual(move.old.site.image())
    expect(await move.restore({ delete: true }).plan(move.run)).toEqual([])
    await takeBack(move.restore({ delete: true }), done, move.run)
    expect(move.new.site.image()).toEqual(before)
    await takeBack(move.restore({ delete: true }), done, move.run)
    expect(move.new.site.image()).toEqual(before)
  })

  it('are not taken away by undo when somebody changed them since', async () => {
    await perform(move.snapshot(), move.run)
    const done = await perform(move.restore(), move.run)
    move.new.site.put('images/shirt-7.png', Buffer.from('a customer’s upload'))
    await takeBack(move.restore(), done, move.run)
    expect(move.new.site.paths()).toEqual(['images', 'images/shirt-7.png'])
    expect(move.run.events).toContainEqual(expect.objectContaining({ code: 'file-changed-since' }))
  })

  it('are left alone by a later look when the new shop has changed them', async () => {
    await perform(move.snapshot(), move.run)
    await perform(move.restore(), move.run)
    move.new.site.put('images/shirt-7.png', Buffer.from('a new picture'), 0o644, 1_300_000_000)
    expect(await move.restore().plan(move.run)).toEqual([])
    expect(await codes(move.restore())).toEqual(['restored-files-read-back', 'restored-files-changed-since'])
  })

  it('are refused where a folder stands in the way of a file', async () => {
    move.new.site.folder('web.config')
    await perform(move.snapshot(), move.run)
    expect((await errorOf(move.restore().plan(move.run))).code).toBe('restore-kind-differs')
  })

  it('are not restored without a whole snapshot', async () => {
    expect((await errorOf(move.restore().plan(move.run))).code).toBe('snapshot-missing')
  })
})

describe('what changes or breaks while files are copied', () => {
  it('a file that changes while it is read is read again, and told about', async () => {
    let touched = false
    move.run.progress = () => {
      if (touched) return
      touched = true
      move.old.site.put('images/shirt-0.png', Buffer.from('sold out'), 0o644, 1_222_222_222)
      move.old.site.put('late.txt', Buffer.from('late'))
    }
    await perform(move.snapshot(), move.run)
    expect(await codes(move.snapshot())).toEqual(['snapshot-files-whole', 'file-changed-while-read'])
    await perform(move.restore(), move.run)
    expect(move.new.site.image()).toEqual(move.old.site.image())
  })

  it('links that lead outside are told about and not copied', async () => {
    move.old.site.link('passwords', '/etc/passwd')
    move.old.site.link('pages/up', '../../x')
    await perform(move.snapshot(), move.run)
    const finding = (await move.snapshot().verify(move.run)).find((candidate) => candidate.code === 'link-leads-outside')
    expect(finding?.message).toContain('pages/up, passwords')
    await perform(move.restore(), move.run)
    expect(move.new.site.paths()).not.toContain('passwords')
  })

  it.each([0, 1, 2, 3, 4, 5])('a snapshot cut off goes on with what is missing (cut %i)', async (cut) => {
    move.old.faults.cutAfterBytes = 1 + cut * 180_000
    const error = await errorOf(perform(move.snapshot(), move.run))
    expect(error).toMatchObject({ code: 'files-connection-lost', retrySafe: true })
    move.old.faults.cutAfterBytes = undefined
    await perform(move.snapshot(), move.run)
    await perform(move.restore(), move.run)
    expect(move.new.site.image()).toEqual(move.old.site.image())
    expect(await move.snapshot().plan(move.run)).toEqual([])
  })

  it('a snapshot stopped in the middle fetches only the rest', async () => {
    const stop = new AbortController()
    move.run.signal = stop.signal
    let files = 0
    move.run.progress = () => {
      files += 1
      if (files === 60) stop.abort(new Error('Ctrl-C'))
    }
    await expect(perform(move.snapshot(), move.run)).rejects.toThrow()
    move.run.signal = new AbortController().signal
    const [change] = await move.snapshot().plan(move.run)
    const left = Number((change as { readonly [key: string]: Json }).fetchFiles)
    // All of so few may be under way at once: then what was fetched is kept, and only the end is missing.
    expect(left).toBeLessThanOrEqual(124 - 60)
    expect(await codes(move.snapshot())).toContain('snapshot-files-incomplete')
    await perform(move.snapshot(), move.run)
    expect(await codes(move.snapshot())).toEqual(['snapshot-files-whole'])
  })

  it.each([0, 1, 2, 3, 4, 5])('a restore cut off goes on, and is undone as a whole (cut %i)', async (cut) => {
    move.new.site.put('web.config', Buffer.from('welcome'), 0o600, 1_000_000_000)
    const before = move.new.site.image()
    await perform(move.snapshot(), move.run)
    const begun = await move.restore().plan(move.run)
    move.new.faults.cutAfterBytes = 1 + cut * 180_000
    for (const change of begun) expect((await errorOf(move.restore().apply(change, move.run))).code).toBe('files-connection-lost')
    move.new.faults.cutAfterBytes = undefined
    const done = [...begun, ...(await perform(move.restore(), move.run))]
    expect(move.new.site.image()).toEqual(move.old.site.image())
    expect(await move.restore().plan(move.run)).toEqual([])
    await takeBack(move.restore(), done, move.run)
    expect(move.new.site.image().filter((line) => !line.includes('.migrate-part'))).toEqual(before)
  })

  it('a full disk on the new host is named, and the restore goes on when there is room', async () => {
    await perform(move.snapshot(), move.run)
    move.new.faults.diskFullAfterBytes = 300_000
    const error = await errorOf(perform(move.restore(), move.run))
    expect(error.code).toBe('files-disk-full')
    expect(error.message).toContain('disk')
    move.new.faults.diskFullAfterBytes = undefined
    await perform(move.restore(), move.run)
    expect(move.new.site.image()).toEqual(move.old.site.image())
  })
})

describe('rewrite-config', () => {
  const options = [{ file: 'web.config', replace: { 'old-sql.example.com': 'new-sql.example.com' } }]
  const restored = async (): Promise<void> => {
    await perform(move.snapshot(), move.run)
    await perform(move.restore(), move.run)
  }
  const text = (): string => move.new.site.read('web.config')?.toString() ?? ''
  const notes = (): readonly string[] => move.run.events.flatMap((event) => (event.event === 'note' ? [event.message] : []))

  it('changes the text and nothing else, once, and the restore doesn’t change it back', async () => {
    await restored()
    const [change] = await perform(move.rewrite(options), move.run)
    expect(text()).toBe('\ufeff<add server="new-sql.example.com" password="hunter22"/>\r\n<other/>\r\n')
    expect(await move.rewrite(options).plan(move.run)).toEqual([])
    expect(await move.rewrite(options).verify(move.run)).toEqual([])
    expect(await move.restore().plan(move.run)).toEqual([])
    expect(await codes(move.restore())).toEqual(['restored-files-read-back'])
    expect(move.rewrite(options).describe(change ?? null)).toBe('change web.config on the new host: a text')
    expect(notes()).toEqual([
      '--- web.config\n+++ web.config\n@@ -1 +1 @@\n-<add server="old-sql.example.com" password="***"/>\n+<add server="new-sql.example.com" password="***"/>',
    ])
    expect(JSON.stringify(change)).not.toContain('hunter22')
  })

  it('is undone to the byte, time and mode', async () => {
    await restored()
    const before = move.new.site.image()
    const done = await perform(move.rewrite(options), move.run)
    await takeBack(move.rewrite(options), done, move.run)
    expect(move.new.site.image()).toEqual(before)
    await takeBack(move.rewrite(options), done, move.run)
    expect(move.new.site.image()).toEqual(before)
  })

  it('keeps Latin-1 and UTF-16 as they are', async () => {
    const latin = Buffer.from('caf\xe9 old.example \x80\xff\r', 'latin1')
    const wide = Buffer.from('\ufeffä old.example\n', 'utf16le')
    const wideBig = Buffer.from(wide).swap16()
    move.old.site.put('latin', latin)
    move.old.site.put('wide', wide)
    move.old.site.put('big', wideBig)
    await restored()
    const files = ['latin', 'wide', 'big'].map((file) => ({ file, replace: { 'old.example': 'neü.example' } }))
    await perform(move.rewrite(files.slice(1)), move.run)
    await perform(move.rewrite([{ file: 'latin', replace: { 'caf\xe9 old.example': 'caf\xe9 new.example' } }]), move.run)
    expect(move.new.site.read('latin')).toEqual(Buffer.from('caf\xe9 new.example \x80\xff\r', 'latin1'))
    expect(move.new.site.read('wide')).toEqual(Buffer.from('\ufeffä neü.example\n', 'utf16le'))
    expect(move.new.site.read('big')).toEqual(Buffer.from('\ufeffä neü.example\n', 'utf16le').swap16())
    expect(await move.rewrite(files.slice(1)).plan(move.run)).toEqual([])
  })

  it('replaces by a text that holds the old one, once', async () => {
    await restored()
    const longer = [{ file: 'web.config', replace: { 'old-sql.example.com': 'not-old-sql.example.com' } }]
    await perform(move.rewrite(longer), move.run)
    await perform(move.rewrite(longer), move.run)
    expect(text()).toContain('"not-old-sql.example.com"')
  })

  it('names the file and the text that is nowhere in it', async () => {
    await restored()
    const error = await errorOf(move.rewrite([{ file: 'web.config', replace: { 'other-sql': 'third-sql' } }]).plan(move.run))
    expect(error.code).toBe('config-text-missing')
    expect(error.message).toContain('web.config')
    expect(error.message).toContain('"other-sql"')
    const [finding] = await move.rewrite([{ file: 'app.config', replace: { a: 'b' } }]).check(move.run)
    expect(finding).toMatchObject({ severity: 'error', code: 'file-missing' })
  })

  it('plans from the old host’s file in a dry run, before the files are there', async () => {
    move.run.dryRun = true
    expect(await move.rewrite(options).plan(move.run)).toHaveLength(1)
    expect(notes().join()).toContain('+<add server="new-sql.example.com"')
    expect(move.new.site.paths()).toEqual([])
  })

  it('does not overwrite what somebody changed meanwhile', async () => {
    await restored()
    const [change] = await move.rewrite(options).plan(move.run)
    move.new.site.put('web.config', Buffer.from('<mine old-sql.example.com/>'))
    expect((await errorOf(move.rewrite(options).apply(change ?? null, move.run))).code).toBe('config-changed')
    expect(text()).toBe('<mine old-sql.example.com/>')
  })
})
