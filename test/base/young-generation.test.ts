import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const module = fileURLToPath(new URL('../../src/base/young-generation.ts', import.meta.url))

/** MiB of the young generation after a second of work that makes and keeps much for a short while. */
function youngAfterWork(before: string, between = 'await new Promise((resolve) => setImmediate(resolve))'): number {
  const script = `
    import { getHeapSpaceStatistics } from 'node:v8'
    ${before}
    let kept = []
    for (let turn = 0; turn < 40; turn += 1) {
      for (let index = 0; index < 40_000; index += 1) kept.push({ index, text: [index] })
      if (turn % 3 === 0) kept = []
      ${between}
    }
    console.log(getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / 2 ** 20)`
  return Number(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }))
}

const bound = `import { boundYoungGeneration } from ${JSON.stringify(module)}; boundYoungGeneration()`

it('the young generation stays small once it was bounded, however much streams through', () => {
  const bounded = youngAfterWork(bound)
  expect(bounded).toBeLessThanOrEqual(20)
  expect(youngAfterWork('')).toBeGreaterThan(bounded)
})

it('nor does it grow when all of that is done in one turn of the event loop, as modules are loaded', () => {
  expect(youngAfterWork(bound, 'await null')).toBeLessThanOrEqual(20)
})
