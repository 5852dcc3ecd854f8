import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decideConflict, type HashedEntry, mergeFile, type Sides } from '../../src/files/merge.ts'
import { sideBySide } from '../../src/files/side-by-side.ts'

const file = (content: number, mtimeSeconds = content): HashedEntry => ({
  path: 'a',
  kind: 'file',
  size: content,
  mode: 0o644,
  mtimeSeconds,
  target: null,
  sha256: null,
})
const hashed = (content: number, mtimeSeconds: number): HashedEntry => ({ ...file(1, mtimeSeconds), sha256: String(content) })
const sides = (base?: HashedEntry, source?: HashedEntry, target?: HashedEntry): Sides => ({ base, source, target })

describe('the merge of one path', () => {
  it.each([
    ['only the source has it', sides(undefined, file(1)), 'carry'],
    ['changed on the source alone', sides(file(1), file(2), file(1)), 'update'],
    ['changed on the target alone', sides(file(1), file(1), file(2)), 'nothing'],
    ['removed on the source alone', sides(file(1), undefined, file(1)), 'gone'],
    ['removed on the source, changed on the target', sides(file(1), undefined, file(2)), 'nothing'],
    ['removed on the target alone', sides(file(1), file(1)), 'nothing'],
    ['changed on the source, removed on the target', sides(file(1), file(2)), 'conflict'],
    ['born on the target', sides(undefined, undefined, file(1)), 'nothing'],
    ['the same on both', sides(file(1), file(2), file(2)), 'nothing'],
    ['changed on both', sides(file(1), file(2), file(3)), 'conflict'],
    ['born on both, differently', sides(undefined, file(2), file(3)), 'conflict'],
    ['only touched on the source', sides(hashed(1, 1), hashed(1, 5), hashed(2, 6)), 'nothing'],
    ['only touched on the target', sides(hashed(1, 1), hashed(2, 5), hashed(1, 6)), 'update'],
    ['a file there, a folder here', sides(undefined, file(1), { ...file(0), kind: 'folder' }), 'conflict'],
  ])('%s', (_what, met, verdict) => {
    expect(mergeFile(met)).toBe(verdict)
  })

  it('leaves a conflict to a person unless the playbook says whose file it is', () => {
    const met = sides(file(1), file(2, 20), file(3, 10))
    expect(decideConflict(met, 'park', 'old')).toBe('park')
    expect(decideConflict(met, 'old', 'old')).toBe('source')
    expect(decideConflict(met, 'new', 'old')).toBe('target')
    expect(decideConflict(met, 'old', 'new')).toBe('target')
    expect(decideConflict(met, 'newest', 'old')).toBe('source')
    expect(decideConflict(sides(file(1), file(2, 10), file(3, 20)), 'newest', 'old')).toBe('target')
    expect(decideConflict(sides(file(1), file(2, 10), file(3, 10)), 'newest', 'old')).toBe('park')
    expect(decideConflict(sides(file(1), file(2, 10)), 'newest', 'old')).toBe('park')
  })

  it('never takes away what was changed or made on the target, and never misses what was on the source', () => {
    const state = fc.option(
      fc.integer({ min: 1, max: 3 }).map((content) => file(content)),
      { nil: undefined },
    )
    fc.assert(
      fc.property(state, state, state, (base, source, target) => {
        const verdict = mergeFile({ base, source, target })
        const changedOn = (side: HashedEntry | undefined): boolean => side?.size !== base?.size
        if (changedOn(target) && ['carry', 'update', 'gone'].includes(verdict)) return verdict === 'carry' && target === undefined
        if (source !== undefined && changedOn(source) && source.size !== target?.size)
          return verdict !== 'nothing' && verdict !== 'gone'
        return true
      }),
    )
  })
})

describe('three listings side by side', () => {
  it('give every path once, in order, with what each of them has', async () => {
    const named = (...paths: string[]): HashedEntry[] => paths.map((path) => ({ ...file(1), path }))
    const listed = async function* (...paths: string[]): AsyncGenerator<HashedEntry> {
      yield* named(...paths)
    }
    const met = []
    for await (const each of sideBySide(named('a', 'a/b', 'c'), listed('a/b', 'a.txt'), listed('a', 'c', 'd')))
      met.push(`${each.path} ${[each.base, each.source, each.target].map((side) => (side === undefined ? '-' : 'x')).join('')}`)
    expect(met).toEqual(['a x-x', 'a/b xx-', 'a.txt -x-', 'c x-x', 'd --x'])
  })
})
