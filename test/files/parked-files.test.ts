import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { nameFrom } from '../../src/files/raw-names.ts'
import { directly } from '../../src/run/step.ts'
import { type ParkedFile, ParkedList, readParkedFiles } from '../../src/steps/parked-files.ts'
import { perform, takeBack } from '../fakes/step-run.ts'
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
    const found = readParkedFiles(both.run).get(path)
    if (found === undefined) throw new Error(`${path} isn't parked`)
    return found
  }
  const keptText = async (path: string): Promise<string> =>
    readFileSync(join(both.run.directory, (await parked(path)).kept ?? ''), 'utf8')

  it('is left alone when another one is kept whose name is the beginning of its own', async () => {
    await conflicts('x', 'x.part')
    await both.pass()
    change('x', 'changed once more')
    expect((await both.pass()).planned).toMatchObject([{ do: 'park', conflicts: [{ path: 'x' }] }])
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
    expect([...readParkedFiles(both.run).keys()]).toEqual(['y'])
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

  it('is planned with many others in one change, and as journals of earlier versions have it by itself', async () => {
    const paths = Array.from({ length: 450 }, (_, index) => `f${index}`)
    await conflicts(...paths)
    const step = both.step()
    const planned = await perform(step, both.run)
    expect(planned).toHaveLength(3)
    expect(readParkedFiles(both.run).size).toBe(450)
    const { conflicts: some } = z.object({ conflicts: z.array(z.looseObject({ path: z.string() })) }).parse(planned[0])
    await takeBack(step, [{ do: 'park', ...some[0] }, ...planned.slice(1)], both.run)
    const left = [...readParkedFiles(both.run).keys()]
    expect(left).toEqual(some.slice(1).map(({ path }) => path))
  })

  it('is not listed when the old host no longer has the file', async () => {
    await conflicts('x')
    const step = both.step()
    const [planned] = await step.plan(both.run)
    await both.old.remove('x')
    await step.apply(step.change.parse(planned), both.run)
    expect(readParkedFiles(both.run).size).toBe(0)
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

  it('is on disk after every change, in the order of paths, and whole in the file that people read once it is told', async () => {
    const list = new ParkedList(run, directly)
    const model = new Map<string, ParkedFile>()
    for (let index = 0; index < 300; index += 1) {
      const path = `f${String(index % 100).padStart(2, '0')}`
      const file = fileOf(path, index)
      if (index % 7 === 0) await list.remove([path, 'never listed'])
      else await list.put(file)
      if (index % 7 === 0) model.delete(path)
      else model.set(path, file)
      if (index % 50 === 0) expect(readParkedFiles(run)).toEqual(model)
    }
    const full = (): Promise<never> => Promise.reject(new Error('the disk is full'))
    const another = new ParkedList(run, full)
    await expect(another.remove(['f01'])).rejects.toThrow('full')
    another.close()
    expect(list.get('f01')).toEqual(model.get('f01'))
    const [finding] = await list.told()
    expect(finding?.message).toContain(`${model.size} files are parked`)
    const people = (): unknown => JSON.parse(readFileSync(at('parked-files.json'), 'utf8'))
    expect(people()).toEqual([...model.keys()].sort().map((path) => model.get(path)))
    await list.keepOnly((path) => path === 'f02')
    await list.told()
    expect(people()).toEqual([model.get('f02')])
    await list.remove(['f02'])
    expect(await list.told()).toEqual([])
    expect(people()).toEqual([])
    list.close()
  })
})
