import { defineConfig } from 'vitest/config'
import { filesApart } from './test/apart.ts'
import { LongestFirst } from './test/longest-first.ts'

const all = 'test/**/*.test.ts'
const apart = [...filesApart()]

export default defineConfig({
  test: {
    globalSetup: ['test/servers/copies.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    fileParallelism: true,
    // On the two processors of CI: a file waits for its servers and its disk nearly half of its time.
    maxWorkers: 3,
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'apart', include: apart } },
      // What a file has spied on or set is as it was when the next one begins.
      {
        extends: true,
        test: { name: 'together', include: [all], exclude: apart, isolate: false, restoreMocks: true, unstubEnvs: true },
      },
    ],
  },
})
