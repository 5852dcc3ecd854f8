import { afterEach, expect, it } from 'vitest'
import { takeBack } from '../fakes/step-run.ts'
import { Carrying } from '../files/carrying.ts'

let both: Carrying
afterEach(() => both.end())

it('leaves nothing of a file that was cut off on its way, when a pass that carries files is taken back', async () => {
  both = await Carrying.begin({ 'img/a.png': 'a picture' })
  both.old.put('late.png', 'a late picture', 0o644, 1_700_000_500)
  both.old.put('img/a.png', 'another picture', 0o644, 1_700_000_500)
  const before = both.fresh.fingerprint()
  const step = both.step()
  const [change, ...others] = await step.plan(both.run)
  expect(others).toEqual([])
  both.fresh.capacity = 0
  await expect(step.apply(change ?? null, both.run)).rejects.toMatchObject({ code: 'files-disk-full' })
  both.fresh.capacity = Number.POSITIVE_INFINITY
  // As a process leaves it that was killed.
  both.fresh.put('.late.png.migrate-part', 'a la')
  both.fresh.put('img/.a.png.migrate-part', 'anoth')
  await takeBack(step, [change ?? null], both.run)
  expect(both.fresh.fingerprint()).toBe(before)
})
