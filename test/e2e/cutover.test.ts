import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Crowd, gather, longestGapMs } from './cutover/crowd.ts'
import {
  CLAMP_SECONDS,
  type CutoverScene,
  cutoverMissing,
  NEW_ADDRESS,
  OLD_ADDRESS,
  OLD_TTL_SECONDS,
  startCutoverScene,
  ZONE,
} from './cutover/hosts.ts'
import type { News } from './cutover/messages.ts'
import { writePlaybook } from './cutover/playbook.ts'
import { killAll, type MigrateRun, startMigrate, story, type WireEvent } from './migrate-process.ts'

const title = `a shop moved with nothing played${cutoverMissing === null ? '' : ` (skipped: ${cutoverMissing})`}`
const allAgree = (event: WireEvent): boolean => {
  const { agreed, total } = (event.resolvers ?? {}) as { readonly agreed?: number; readonly total?: number }
  return event.event === 'watch' && agreed === total
}

describe.skipIf(cutoverMissing !== null)(title, { timeout: 300_000 }, () => {
  let scene: CutoverScene
  let crowd: Crowd
  let run: MigrateRun
  beforeAll(async () => {
    scene = await startCutoverScene()
    const { port, ca, resolvers } = scene
    const addresses = resolvers.map(({ endpoint }) => endpoint)
    crowd = gather({ name: ZONE, port, ca, resolvers: addresses, crowd: { prompt: 6, 'keep-alive': 3, sticky: 2 } })
  })
  afterAll(async () => {
    killAll()
    await crowd?.stop().catch(() => undefined)
    await scene?.stop()
  })

  it('goes through while customers buy all the time', async () => {
    await crowd.until(({ kind }) => kind === 'bought', 20)
    const { path, env } = writePlaybook(scene)
    const migrate = startMigrate(['run', path], env)
    const customers = (async () => {
      await migrate.until((event) => event.step === 'cutover-dns' && event.event === 'done')
      scene.old.rotateLog()
      crowd.tell('family')
      await migrate.until(allAgree)
      const agreedAt = Date.now()
      await crowd.until((news) => news.habit === 'sticky' && news.kind === 'bought' && news.at > agreedAt, 5)
      crowd.tell('leave')
    })()
    run = await migrate.ended
    await crowd.stop()
    expect(run.exit, story(run)).toBe(0)
    await customers
    console.log(crowd.news.filter((n) => n.kind === 'failed').slice(0, 5), longestGapMs(crowd.news), crowd.news.length)
    const { writeFileSync } = await import('node:fs')
    writeFileSync('/tmp/bigrun-events.jsonl', run.stdout)
  })
})
