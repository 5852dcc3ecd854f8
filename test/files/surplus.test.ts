import { expect, it, vi } from 'vitest'
import type { FileEntry } from '../../src/files/port.ts'
import { Surplus } from '../../src/steps/surplus.ts'
import { MemoryFiles } from '../fakes/memory-files.ts'

const MANY = 2000
const entry = (index: number): FileEntry => {
  return { path: `${index}`.padStart(5, '0'), kind: 'file', size: 1, mode: 0o644, mtimeSeconds: 0, target: null }
}

it('what only the new host has is asked about while it is found: few are held that the old host may have got since', async () => {
  const old = new MemoryFiles()
  for (let index = 0; index < MANY - 3; index += 1) old.put(entry(index).path, 'x')
  const stat = vi.spyOn(old, 'stat')
  const allow = vi.fn()
  const rules = {
    old,
    isChosen: () => true,
    deletes: true,
    put: undefined,
    isSaved: () => false,
    powers: await old.powers(),
    allow,
  }
  const surplus = new Surplus({ ...rules, signal: new AbortController().signal })
  for (let index = 0; index < MANY; index += 1) {
    await surplus.add(entry(index))
    expect(index + 1 - stat.mock.calls.length).toBeLessThan(600)
  }
  expect([...(await surplus.end()).pages()].flat().map(({ path }) => path)).toEqual(
    [entry(MANY - 3), entry(MANY - 2), entry(MANY - 1)].map(({ path }) => path),
  )
  expect(stat).toHaveBeenCalledTimes(MANY)
  expect(allow).toHaveBeenLastCalledWith(3)
})
