import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { nameFrom } from '../../src/files/raw-names.ts'
import { directly } from '../../src/run/step.ts'
import { type ParkedFile, ParkedList, readParkedFiles } from '../../src/steps/parked-files.ts'
import { Carrying } from './carrying.ts'

const LATER = 1_700_000_100

describe('the copy of a file that was changed on both hosts', () => {
  let both: Carrying
  afterEach(() => both.end())

  /** Every path was copied to the new host and changed on both since. */
  const conflicts = async (...paths: readonly string[]): Promise<void> => {
    both = await Carrying.begin(Object.fromEntries(paths.map((path) => [path, 'before'])))
    for (const path of paths) change(path)
  }
  const change = (path: string, text = `${path} of the old host`): void => {
    both.old.put(path, text, 0o644, LATER)
    both.fresh.put(path, 'changed on new', 0o644, LATER + 1)
  }
  const parked = async (path: string): Promise<ParkedFile> => {
    const found = (await readParkedFiles(both.run)).get(path)
    if (found === undefined) throw new Error(`${path} isn't parked`)
    return found
  }
  const keptText = async (path: string): Promise<string> =>
    readFileSync(join(both.run.directory, (await parked(path)).kept ?? ''), 'utf8')

  it('is left alone when another one is kept whose name is the beginning of its own', async () => {
    await conflicts('x', 'x.part')
    await both.pass()
    change('x', 'changed once more')
    expect((await both.pass()).planned).toMatchObject([{ do: 'park', path: 'x' }])
    expect(await keptText('x')).toBe('changed once more')
    expect(await keptText('x.part')).toBe('x.part of the old host')
    expect((await both.pass()).planned).toEqual([])
  })

  it.each([
    ['of 255 bytes', `${'ä'.repeat(125)}.jpeg`],
    ['of bytes that aren’t UTF-8', `${nameFrom(Buffer.alloc(200, 0xe9))}.jpeg`],
    ['deep in folders', `${'a long name of a folder/'.repeat(60)}x.jpeg`],
  ])('has a name that fits, found by its ending and in the list, where its own %s doesn’t', async (_what, path) => {
    await conflicts(path)
    expect((await both.pass()).codes).toEqual(['files-parked'])
    expect((await parked(path)).kept).toMatch(/^parked-files\/.*\.jpeg$/)
    expect(await keptText(path)).toBe(`${path} of the old host`)
    const [change] = (await both.pass()).planned
    expect(change).toBeUndefined()
    rmSync(join(both.run.directory, (await parked(path)).kept ?? ''))
    expect((await both.pass()).planned).toMatchObject([{ do: 'settle', path }])
  })

  it('is none where the file goes between being looked at and being read', async () => {
    await conflicts('x', 'y')
    const step = both.step()
    const planned = await step.plan(both.run)
    const read = both.old.read.bind(both.old)
    both.old.read = (path, options) => {
      if (path === 'x') both.old.nodes.delete('x')
      return read(path, options)
    }
    for (const change of planned) await step.apply(change, both.run)
    expect([...(await readParkedFiles(both.run)).keys()]).toEqual(['y'])
  })

  it('stands beside one whose name differs in case or in how an accent is written alone', async () => {
    const paths = ['A.png', 'a.png', 'é'.normalize('NFC'), 'é'.normalize('NFD')]
    await conflicts(...paths)
    await both.pass()
    const kept = await Promise.all(paths.map(async (path) => (await parked(path)).kept?.normalize('NFC').toLowerCase()))
    expect(new Set(kept).size).toBe(4)
    for (const path of paths) expect(await keptText(path)).toBe(`${path} of the old host`)
  })

  it('is kept also where an earlier copy stands whose file has become a folder', async () => {
    await conflicts('x')
    await both.pass()
    await Promise.all([both.old.remove('x'), both.fresh.remove('x')])
    change('x/y')
    await both.pass()
    expect(await keptText('x/y')).toBe('x/y of the old host')
  })

  it('is listed with its own hash, also when it changed after it was planned', async () => {
    await conflicts('x')
    const step = both.step()
    const [planned] = await step.plan(both.run)
    both.old.put('x', 'changed after the plan', 0o644, LATER + 5)
    await step.apply(step.change.parse(planned), both.run)
    const { source } = await parked('x')
    expect(await keptText('x')).toBe('changed after the plan')
    expect(source.sha256).toBe(createHash('sha256').update('changed after the plan').digest('hex'))
    expect(source).toMatchObject({ size: 22, mtimeSeconds: LATER + 5 })
    expect((await both.pass()).planned).toEqual([])
  })

  it('is not listed when the old host no longer has the file', async () => {
    await conflicts('x')
    const step = both.step()
    const [planned] = await step.plan(both.run)
    await both.old.remove('x')
    await step.apply(step.change.parse(planned), both.run)
    expect((await readParkedFiles(both.run)).size).toBe(0)
  })
})

describe('the list of parked files', () => {
  const run = { directory: mkdtempSync(join(tmpdir(), 'migrate-parked-')) }
  afterEach(() => rmSync(run.directory, { recursive: true }))
  const at = (name: string): string => join(run.directory, name)
  const fileOf = (path: string, size: number): ParkedFile => {
    const source = { path, kind: 'file', size, mode: 0o644, mtimeSeconds: LATER, target: null, sha256: null } as const
    return { path, from: 'old', reason: 'changed on both hosts', kept: null, source, target: null, base: null }
  }

  it('is on disk after every change, also one that was cut off, and is not written whole each time', async () => {
    const list = new ParkedList()
    const whole = new Set<bigint>()
    for (let index = 0; index < 600; index += 1) {
      const path = `f${index % 200}`
      await list.change(run, directly, new Map([[path, index % 7 === 0 ? null : fileOf(path, index)]]))
      const stats = statSync(at('parked-files.json'), { bigint: true, throwIfNoEntry: false })
      if (stats !== undefined) whole.add(stats.mtimeNs)
      if (index % 50 === 0) expect(await readParkedFiles(run)).toEqual(await list.files(run))
    }
    expect(whole.size).toBeLessThan(12)
    const before = new Map(await readParkedFiles(run))
    await list.change(run, directly, new Map([['last', fileOf('last', 1)]]))
    truncateSync(at('parked-files.log'), statSync(at('parked-files.log')).size - 10)
    expect(await readParkedFiles(run)).toEqual(before)
    const another = new ParkedList()
    await another.change(run, directly, new Map([['last', fileOf('last', 2)]]))
    expect((await readParkedFiles(run)).get('last')).toEqual(fileOf('last', 2))
    const full = (): Promise<never> => Promise.reject(new Error('the disk is full'))
    await expect(list.change(run, full, new Map([['last', null]]))).rejects.toThrow('full')
    expect((await list.files(run)).get('last')).toEqual(fileOf('last', 2))
    await list.change(run, directly, new Map([['f1', null]]))
    await list.complete(run, directly)
    const people = JSON.parse(readFileSync(at('parked-files.json'), 'utf8'))
    expect(people).toEqual([...(await readParkedFiles(run)).values()])
    expect(people).toContainEqual(fileOf('last', 2))
  })
})
