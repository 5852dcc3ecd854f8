import { afterEach, describe, expect, it } from 'vitest'
import { decisionAbout } from '../../src/cli/decide-files.ts'
import { seenFiles } from '../../src/cli/parked-files.ts'
import type { FileTake } from '../../src/playbook/index.ts'
import { besideName } from '../../src/steps/file-beside.ts'
import { recordFileDecisions } from '../../src/steps/file-decisions.ts'
import { takeBack } from '../fakes/step-run.ts'
import { Carrying } from './carrying.ts'

let both: Carrying
afterEach(() => both?.end())

const LATER = 1_700_000_500
const textOf = (path: string) => both.textOf(both.fresh, path)

describe('what a person decided about files that were changed on both hosts', () => {
  const decided = async (take: FileTake) => {
    both = await Carrying.begin({ 'index.html': '<h1>Shop</h1>', 'img/a.png': 'picture a' })
    both.old.put('img/a.png', 'changed on old', 0o640, LATER)
    both.fresh.put('img/a.png', 'changed on new', 0o644, LATER + 1)
    await both.pass()
    const seen = await seenFiles(both.run.directory, both.fresh)
    expect(await Promise.all(seen.map((file) => file.difference()))).toEqual([
      ['@@ -1 +1 @@', '-changed on new', '+changed on old'],
    ])
    await recordFileDecisions(
      both.run.directory,
      seen.map((file) => decisionAbout(file, take)),
    )
  }
  const parkedNow = async () => (await seenFiles(both.run.directory, both.fresh)).map(({ path }) => path)

  it.each([
    ['old', 'changed on old', ['files-carried']],
    ['new', 'changed on new', []],
    ['skip', 'changed on new', []],
  ] as const)('%s is carried out by the next pass, and nobody asks again', async (take, text, codes) => {
    await decided(take)
    expect((await both.pass()).codes).toEqual(codes)
    expect(textOf('img/a.png')).toBe(text)
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
    expect(await parkedNow()).toEqual([])
  })

  it('both keeps the old host’s beside the new one’s, under a name that is free, and takes it back', async () => {
    await decided('both')
    both.fresh.put('img/a (old host).png', 'somebody’s')
    const before = both.fresh.fingerprint()
    const step = both.step()
    const { planned } = await both.pass(step)
    expect(planned).toMatchObject([{ do: 'both', as: 'img/a (old host 2).png' }])
    expect(textOf('img/a.png')).toBe('changed on new')
    expect(both.fresh.nodes.get('img/a (old host 2).png')).toMatchObject({ mode: 0o640, mtimeSeconds: LATER })
    expect(textOf('img/a (old host 2).png')).toBe('changed on old')
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
    await takeBack(step, planned, both.run)
    expect(both.fresh.fingerprint()).toBe(before)
  })

  it('both puts nothing beside the new host’s that didn’t arrive as it was sent: the next pass does it', async () => {
    await decided('both')
    const write = both.fresh.write.bind(both.fresh)
    both.fresh.write = async (path, ...rest) => {
      const written = await write(path, ...rest)
      both.fresh.put(path, 'chanGed on old', 0o640, LATER)
      both.fresh.write = write
      return written
    }
    await both.pass()
    expect(textOf('img/a (old host).png')).toBeUndefined()
    await both.pass()
    expect(textOf('img/a (old host).png')).toBe('changed on old')
    expect(await both.pass()).toEqual({ planned: [], codes: [] })
  })

  it('does not hold for files that changed since the person saw them', async () => {
    await decided('old')
    both.fresh.put('img/a.png', 'changed on new once more', 0o644, LATER + 2)
    expect((await both.pass()).codes).toEqual(['files-parked'])
    expect(textOf('img/a.png')).toBe('changed on new once more')
    expect(await parkedNow()).toEqual(['img/a.png'])
  })

  it('names beside a file keep its extension, and fit', () => {
    expect(besideName('a/photo.tar.gz', 'old host')).toBe('a/photo.tar (old host).gz')
    expect(besideName('.htaccess', 'old host')).toBe('.htaccess (old host)')
    expect(Buffer.byteLength(besideName(`a/${'é'.repeat(120)}.jpeg`, 'old host 2').slice(2))).toBeLessThanOrEqual(255)
  })
})
