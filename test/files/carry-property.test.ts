import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { takeBack } from '../fakes/step-run.ts'
import { Carrying } from './carrying.ts'

const PATHS = ['a', 'b.txt', 'dir/c', 'dir/d', 'dir/deep/e'] as const
type State = Readonly<Record<string, string | undefined>>

/** Contents of equal length, so that times and hashes have to tell. */
const content = fc.option(fc.constantFrom('one', 'two', 'six'), { nil: undefined, freq: 3 })
const state: fc.Arbitrary<State> = fc.record(Object.fromEntries(PATHS.map((path) => [path, content])))

/** Brings a host to a state; what differs from before is new, as of another second. */
async function become(both: Carrying, side: 'old' | 'fresh', wanted: State, second: number): Promise<void> {
  for (const path of PATHS) {
    const text = wanted[path]
    if (text === both.textOf(both[side], path)) continue
    if (text === undefined) await both[side].remove(path)
    else both[side].put(path, text, 0o644, 1_700_000_000 + second)
  }
}

const present = (wanted: State): Record<string, string> =>
  Object.fromEntries(Object.entries(wanted).flatMap(([path, text]) => (text === undefined ? [] : [[path, text]])))

describe('any two hosts that changed since their files were copied', () => {
  it('lose no file, double none, overwrite none that changed on both; a second pass is empty; all of it can be taken back', async () => {
    const scene = fc.tuple(state, state, state, fc.boolean())
    await fc.assert(
      fc.asyncProperty(scene, async ([base, old, fresh, deletes]) => {
        const both = await Carrying.begin(present(base))
        try {
          await become(both, 'old', old, 100)
          await become(both, 'fresh', fresh, 200)
          const [oldBefore, newBefore] = [both.old.fingerprint(), both.fresh.fingerprint()]
          const options = { delete: deletes, 'max-delete': '100%' }
          const step = both.step(options)
          const { planned } = await both.pass(step)

          for (const path of PATHS) {
            const [was, there, here] = [base[path], old[path], fresh[path]]
            const now = both.textOf(both.fresh, path)
            const kept = join(both.run.directory, 'parked-files', 'old', path)
            const parked = existsSync(kept) ? readFileSync(kept, 'utf8') : undefined
            const where = JSON.stringify({ path, was, there, here, now, parked, deletes })
            const [changedOld, changedNew] = [there !== was, here !== was]
            if (changedOld && changedNew && there !== undefined && there !== here) {
              expect(now, where).toBe(here)
              expect(parked, where).toBe(there)
            } else {
              expect(parked, where).toBeUndefined()
              const removed = there === undefined && (!deletes || changedNew)
              expect(now, where).toBe(changedOld && !removed ? there : here)
            }
          }
          expect(both.old.fingerprint()).toBe(oldBefore)
          expect((await both.pass(both.step(options))).planned).toEqual([])
          await takeBack(step, planned, both.run)
          expect(withoutFolders(both.fresh.fingerprint())).toEqual(withoutFolders(newBefore))
        } finally {
          both.end()
        }
      }),
      { numRuns: 60 },
    )
  }, 60_000)
})

/** Folders that a host had no files in any more may have gone or come. */
const withoutFolders = (fingerprint: string): readonly string[] =>
  fingerprint.split('\n').filter((line) => !line.includes(' folder '))
