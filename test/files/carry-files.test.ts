import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { takeBack } from '../fakes/step-run.ts'
import { Carrying } from './carrying.ts'

let both: Carrying
afterEach(() => both.end())

const FILES = {
  'index.html': '<h1>Shop</h1>',
  'img/a.png': 'picture a',
  'img/b.png': 'picture b',
  'web.config': 'server=old-sql',
}
const LATER = 1_700_000_500
const begun = async (snapshot: unknown = {}): Promise<Carrying> => {
  both = await Carrying.begin(FILES, snapshot)
  return both
}
const oldText = (path: string) => both.textOf(both.old, path)
const newText = (path: string) => both.textOf(both.fresh, path)

describe('files that come or change after they were copied', () => {
  it('nothing is carried while nothing changed', async () => {
    await begun()
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
  })

  it('are carried when only the old host has them, and updated when only it changed them; a second pass finds nothing', async () => {
    await begun()
    both.old.put('uploads/mine.png', 'my picture', 0o640, LATER)
    await both.old.link('uploads/newest.png', 'mine.png')
    both.old.put('img/a.png', 'another picture a', 0o644, LATER)
    const before = both.fresh.nodes.get('img/b.png')
    const { planned, codes } = await both.pass()
    expect(planned).toHaveLength(1)
    expect(both.step().describe(planned[0] ?? null)).toMatch(/^carry img\/a.png and 3 more from the old host/)
    expect(codes).toEqual(['files-carried'])
    expect(both.fresh.fingerprint()).toBe(both.old.fingerprint())
    expect(both.fresh.nodes.get('img/b.png')).toBe(before)
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
  })

  it('are left alone where only the new host made, changed or removed them', async () => {
    await begun()
    both.fresh.put('uploads/new.png', 'a picture of the new host', 0o644, LATER)
    both.fresh.put('img/a.png', 'changed on new', 0o644, LATER)
    await both.fresh.remove('img/b.png')
    const before = both.fresh.fingerprint()
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
    expect(both.fresh.fingerprint()).toBe(before)
  })

  it('follow the snapshot’s selection, also in what is removed', async () => {
    both = await Carrying.begin({ ...FILES, 'cache/x': 'cached' }, { exclude: ['cache'] })
    both.fresh.put('cache/y', 'cached on new')
    both.old.put('cache/z', 'cached on old')
    both.old.put('new.txt', 'new')
    await both.pass(both.step({ delete: true }))
    expect(newText('cache/y')).toBe('cached on new')
    expect(newText('cache/z')).toBeUndefined()
    expect(newText('new.txt')).toBe('new')
  })

  it('are carried in as many passes as there are, each on what the last one left', async () => {
    await begun()
    both.old.put('img/a.png', 'second', 0o644, LATER)
    await both.pass()
    both.fresh.put('img/a.png', 'third, on new', 0o644, LATER + 1)
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
    expect(newText('img/a.png')).toBe('third, on new')
  })

  it('are taken back to the byte', async () => {
    await begun()
    const before = both.fresh.fingerprint()
    both.old.put('uploads/mine.png', 'my picture', 0o644, LATER)
    both.old.put('img/a.png', 'another picture a', 0o644, LATER)
    await both.old.remove('img/b.png')
    const step = both.step({ delete: true, 'max-delete': 1 })
    const { planned } = await both.pass(step)
    expect(planned).toHaveLength(2)
    expect(both.fresh.fingerprint()).toBe(both.old.fingerprint())
    await takeBack(step, planned, both.run)
    expect(both.fresh.fingerprint()).toBe(before)
    await takeBack(step, planned, both.run)
    expect(both.fresh.fingerprint()).toBe(before)
  })

  it('are not begun with where the snapshot wasn’t restored as a whole', async () => {
    await begun()
    both.run.facts.delete('files-restored')
    await expect(both.step().plan(both.run)).rejects.toMatchObject({ code: 'files-not-restored' })
    both.run.dryRun = true
    expect(await both.step().plan(both.run)).toEqual([])
  })
})

describe('files that the old host removed', () => {
  it('are kept, and told about', async () => {
    await begun()
    await both.old.remove('img/a.png')
    expect(await both.pass()).toEqual({ planned: [], codes: ['files-gone-kept'] })
    expect(newText('img/a.png')).toBe('picture a')
  })

  it('are removed where the playbook says so, unless the new host changed them', async () => {
    await begun()
    await both.old.remove('img/a.png')
    await both.old.remove('img/b.png')
    both.fresh.put('img/b.png', 'changed on new', 0o644, LATER)
    await both.pass(both.step({ delete: true, 'max-delete': 1 }))
    expect(newText('img/a.png')).toBeUndefined()
    expect(newText('img/b.png')).toBe('changed on new')
  })

  it('are not removed when they are more than the playbook allows', async () => {
    await begun()
    for (const path of Object.keys(FILES)) await both.old.remove(path)
    await expect(both.step({ delete: true }).plan(both.run)).rejects.toMatchObject({ code: 'too-many-deletions' })
  })

  it('are not removed when a listing has left them out that are there', async () => {
    await begun()
    const list = both.old.list.bind(both.old)
    both.old.list = async function* (folder, signal) {
      for await (const entry of list(folder, signal)) if (entry.path !== 'img/a.png') yield entry
    }
    expect(await both.step({ delete: true }).plan(both.run)).toEqual([])
  })
})

describe('files that were changed on both hosts', () => {
  const conflict = async (): Promise<void> => {
    await begun()
    both.old.put('img/a.png', 'changed on old', 0o644, LATER)
    both.fresh.put('img/a.png', 'changed on new', 0o644, LATER + 1)
  }
  const kept = (path: string): string => join(both.run.directory, 'parked-files', 'old', path)

  it('stay as they are on the new host; the old one’s is kept, and listed with both hashes, until a person has decided', async () => {
    await conflict()
    const { planned, codes } = await both.pass()
    expect(planned).toMatchObject([{ do: 'park', conflicts: [{ path: 'img/a.png' }] }])
    expect(codes).toEqual(['files-parked'])
    expect(newText('img/a.png')).toBe('changed on new')
    expect(readFileSync(kept('img/a.png'), 'utf8')).toBe('changed on old')
    const [listed] = JSON.parse(readFileSync(join(both.run.directory, 'parked-files.json'), 'utf8'))
    expect(listed).toMatchObject({
      path: 'img/a.png',
      from: 'old',
      source: { mtimeSeconds: LATER },
      target: { mtimeSeconds: LATER + 1 },
    })
    expect(listed.source.sha256).toMatch(/^[0-9a-f]{64}$/)
    expect(listed.target.sha256).not.toBe(listed.source.sha256)
    expect(await both.pass()).toEqual({ planned: [], codes: ['files-parked'] })
  })

  it('are settled when the person deletes the kept copy, and when both are the same', async () => {
    await conflict()
    await both.pass()
    rmSync(kept('img/a.png'))
    expect(await both.pass()).toMatchObject({ planned: [{ do: 'settle' }], codes: [] })
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
    both.old.put('img/a.png', 'changed once more', 0o644, LATER + 2)
    expect((await both.pass()).codes).toEqual(['files-parked'])
    both.fresh.put('img/a.png', 'changed once more', 0o644, LATER + 9)
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
  })

  it('are taken by the playbook’s rule', async () => {
    for (const [rule, text] of [
      ['old', 'changed on old'],
      ['new', 'changed on new'],
      ['newest', 'changed on new'],
    ] as const) {
      await conflict()
      expect((await both.pass(both.step({ conflict: rule }))).codes).not.toContain('files-parked')
      expect(newText('img/a.png')).toBe(text)
      expect(await both.step({ conflict: rule }).plan(both.run)).toEqual([])
      if (rule !== 'newest') both.end()
    }
  })

  it('are no conflict where only the times differ', async () => {
    await begun()
    both.old.put('img/a.png', 'the same', 0o644, LATER)
    both.fresh.put('img/a.png', 'the same', 0o644, LATER + 1)
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
  })

  it('are parked, not overwritten, when the new host changes one right before it would be replaced', async () => {
    await begun()
    both.old.put('img/a.png', 'changed on old', 0o644, LATER)
    const step = both.step()
    const [change] = await step.plan(both.run)
    both.fresh.put('img/a.png', 'picture z')
    await step.apply(step.change.parse(change), both.run)
    expect(newText('img/a.png')).toBe('picture z')
    expect(readFileSync(kept('img/a.png'), 'utf8')).toBe('changed on old')
    expect((await step.verify(both.run)).map(({ code }) => code)).toEqual(['files-parked'])
    await step.undo?.(step.change.parse(change), both.run)
    expect(newText('img/a.png')).toBe('picture z')
  })

  it('are parked, not overwritten, when a customer uploads one while its new content is on the way', async () => {
    await begun()
    both.old.put('img/a.png', 'changed on old', 0o644, LATER)
    both.old.put('img/late.png', 'made on old', 0o644, LATER)
    const read = both.old.read.bind(both.old)
    both.old.read = async (path, options) => {
      both.fresh.put(path, `uploaded as ${path}`, 0o644, LATER + 7)
      return read(path, options)
    }
    expect((await both.pass()).codes).toEqual(['files-parked'])
    both.old.read = read
    for (const path of ['img/a.png', 'img/late.png']) {
      expect(newText(path)).toBe(`uploaded as ${path}`)
      expect(readFileSync(kept(path), 'utf8')).toMatch(/(?:changed|made) on old/)
    }
    expect((await both.pass()).planned).toEqual([])
  })

  it('are parked, not overwritten, when a customer replaces what was sent of one that has to be sent again', async () => {
    await begun()
    both.old.put('img/a.png', 'changed on old', 0o644, LATER)
    const write = both.fresh.write.bind(both.fresh)
    both.fresh.write = async (...args) => {
      const written = await write(...args)
      both.fresh.write = write
      both.old.put('img/a.png', 'changed once more', 0o644, LATER + 1)
      both.fresh.put('img/a.png', 'uploaded meanwhile', 0o644, LATER + 2)
      return written
    }
    expect((await both.pass()).codes).toEqual(['files-parked'])
    expect(newText('img/a.png')).toBe('uploaded meanwhile')
    expect(readFileSync(kept('img/a.png'), 'utf8')).toBe('changed once more')
  })

  it('the parking is taken back too', async () => {
    await conflict()
    const step = both.step()
    const { planned } = await both.pass(step)
    await takeBack(step, planned, both.run)
    expect(existsSync(kept('img/a.png'))).toBe(false)
    expect(newText('img/a.png')).toBe('changed on new')
  })
})

describe('a config that rewrite-config changed', () => {
  const rewritten = async (): Promise<void> => {
    await begun()
    await both.pass(both.rewrite([{ file: 'web.config', replace: { 'old-sql': 'new-sql' } }]))
  }

  it('is no conflict by itself, in either direction', async () => {
    await rewritten()
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
    expect(await both.pass(both.back())).toEqual({ planned: [], codes: [] })
    expect(oldText('web.config')).toBe('server=old-sql')
  })

  it('is told about, and left, when the old host changes it since', async () => {
    await rewritten()
    both.old.put('web.config', 'server=old-sql;timeout=9', 0o644, LATER)
    expect(await both.pass()).toEqual({ planned: [], codes: ['config-changed-since'] })
    expect(newText('web.config')).toBe('server=new-sql')
  })
})

describe('on the way back after the cutover', () => {
  it('the new host’s uploads are carried to the old one, and nothing is removed there', async () => {
    await begun()
    both.fresh.put('uploads/new.png', 'uploaded on new', 0o644, LATER)
    both.fresh.put('img/a.png', 'changed on new', 0o644, LATER)
    both.fresh.put('img/b.png', 'changed on new too', 0o644, LATER)
    both.old.put('img/b.png', 'changed on old', 0o644, LATER + 1)
    await both.fresh.remove('index.html')
    const { codes } = await both.pass(both.back())
    expect(codes).toEqual(['files-carried', 'files-gone-kept', 'files-parked'])
    expect(oldText('uploads/new.png')).toBe('uploaded on new')
    expect(oldText('img/a.png')).toBe('changed on new')
    expect(oldText('img/b.png')).toBe('changed on old')
    expect(oldText('index.html')).toBe('<h1>Shop</h1>')
    expect((await both.pass(both.back())).planned).toEqual([])
  })
  it('is not held up by an account that may only read: what stays behind is told', async () => {
    await begun()
    both.fresh.put('uploads/new.png', 'uploaded on new', 0o644, LATER)
    both.old.readOnly = true
    expect((await both.back().check(both.run)).map(({ severity }) => severity)).toEqual(['warning'])
    expect(await both.pass(both.back())).toEqual({ planned: [], codes: ['files-not-carried-back'] })
    both.old.readOnly = false
    expect((await both.pass(both.back())).planned).toHaveLength(1)
  })
})
