import { describe, expect, it } from 'vitest'
import { classify, isConflict, type Print } from '../../src/reconcile/classify.ts'

const prints: readonly Print[] = [null, 'a', 'b', 'c']
const worlds = prints.flatMap((base) => prints.flatMap((source) => prints.map((target) => ({ base, source, target }))))

describe('where one row stands between base, source and target', () => {
  it.each([
    { base: null, source: 'a', target: null, is: 'insert' },
    { base: 'a', source: 'b', target: 'a', is: 'update' },
    { base: 'a', source: null, target: 'a', is: 'delete' },
    { base: 'a', source: 'a', target: 'b', is: 'kept' },
    { base: 'a', source: 'a', target: null, is: 'kept' },
    { base: null, source: null, target: 'b', is: 'kept' },
    { base: 'a', source: 'b', target: 'c', is: 'both-changed' },
    { base: 'a', source: 'b', target: null, is: 'changed-and-deleted' },
    { base: 'a', source: null, target: 'b', is: 'deleted-and-changed' },
    { base: null, source: 'a', target: 'b', is: 'same-key' },
  ] as const)('base $base, source $source, target $target: $is', ({ base, source, target, is }) => {
    expect(classify(base, source, target)).toBe(is)
  })

  it('is nothing to do exactly when both sides are alike', () => {
    for (const { base, source, target } of worlds) expect(classify(base, source, target) === undefined).toBe(source === target)
  })

  it('is a conflict exactly when both sides left the common ground, differently', () => {
    for (const { base, source, target } of worlds) {
      const difference = classify(base, source, target)
      const bothLeft = source !== base && target !== base && source !== target
      expect(difference !== undefined && isConflict(difference)).toBe(bothLeft)
    }
  })
})
