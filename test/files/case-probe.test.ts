import { expect, it } from 'vitest'
import { CaseProbe } from '../../src/files/case-folding.ts'

const probeOf = (names: readonly string[]): CaseProbe => {
  const probe = new CaseProbe()
  for (const name of names) probe.see(name)
  return probe
}
const numbered = (word: string): readonly string[] => Array.from({ length: 5000 }, (_, index) => `${word}${index}`)

it('whether a host folds case is asked by a name whose other case isn’t there, however many names come between', async () => {
  const asked: string[] = []
  const isThere = async (name: string): Promise<boolean> => asked.push(name) > 0
  // Numbers have none. The other case of each of the first thousand comes in the end, but for that of one.
  const names = [...numbered(''), ...numbered('a'), ...numbered('A').filter((name) => name !== 'A700')]
  expect(await probeOf(names).foldsCase(isThere)).toBe(true)
  expect(asked).toEqual(['A700'])
})

it('nothing is asked where every name has its other case beside it, or has none', async () => {
  const isThere = (): Promise<boolean> => Promise.reject(new Error('asked'))
  expect(await probeOf([...numbered('a'), ...numbered('A')]).foldsCase(isThere)).toBeNull()
  expect(await probeOf(['.', '..', '2026', 'b', 'B']).foldsCase(isThere)).toBeNull()
})
