import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { killAll, story } from './migrate-process.ts'
import { type Scene, startScene, type Trial } from './scene.ts'
import { storyMissing } from './story-hosts.ts'

const title = `a rehearsal${storyMissing === null ? '' : ` (skipped: ${storyMissing})`}`

describe.skipIf(storyMissing !== null)(title, () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await startScene()
  })
  afterEach(killAll)
  afterAll(() => scene?.stop())

  const databases = async (): Promise<readonly unknown[]> =>
    (await scene.administer('new', `SELECT datname FROM pg_database WHERE datname LIKE '%rehearsal%'`)).flat()
  const tables = async (): Promise<readonly unknown[]> =>
    (await scene.administer('new', `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`)).flat()
  const nothingLeft = async (trial: Trial): Promise<void> => {
    expect(await databases()).toEqual([])
    expect(await tables()).toEqual([])
    expect(readdirSync(scene.hosts.newSite)).toEqual([])
    expect(existsSync(join(trial.folder, '.migrate', 'story'))).toBe(false)
    expect(existsSync(join(trial.folder, '.migrate', 'story-rehearsal', 'rehearsal.json'))).toBe(false)
    expect(existsSync(join(trial.folder, '.migrate', 'story-rehearsal', 'files'))).toBe(false)
  }

  it('says what it lacks where the account may make no database, and leaves nothing behind', async () => {
    await scene.administer('new', 'ALTER ROLE shop NOCREATEDB')
    const trial = await scene.trial('rehearsal-refused', {})
    const run = await trial.start({}, 'rehearse').ended
    expect(run.exit, story(run)).toBe(1)
    expect(run.events.findLast((event) => event.event === 'failed')).toMatchObject({
      code: 'database-permission-denied',
      hint: expect.stringContaining('rehearsal: { database: … }'),
    })
    await nothingLeft(trial)
  })

  it('moves everything for real into places of its own, measures it, and takes it away again', async () => {
    await scene.administer('new', 'ALTER ROLE shop CREATEDB')
    const records = scene.hosts.zone.records()
    const trial = await scene.trial('rehearsal', {})
    const run = await trial.start({}, 'rehearse').ended
    expect(run.exit, story(run)).toBe(0)
    const told = run.events.find((event) => event.event === 'rehearsed')
    expect(told).toMatchObject({
      steps: expect.arrayContaining([
        { step: 'snapshot-database', seconds: expect.any(Number) },
        { step: 'restore-database', seconds: expect.any(Number) },
        { step: 'restore-files', seconds: expect.any(Number) },
        { step: 'rewrite-config', seconds: expect.any(Number) },
      ]),
      leftOut: expect.arrayContaining(['cutover-dns', 'reconcile']),
    })
    expect(Number(told?.rtoSeconds)).toBeGreaterThan(0)
    expect(Number(told?.rpoSeconds)).toBeGreaterThan(0)
    expect(run.events.filter((event) => event.event === 'finished')).toHaveLength(1)
    expect(scene.hosts.zone.records()).toEqual(records)
    await nothingLeft(trial)
  })

  it.each(['restore-database', 'restore-files', 'snapshot-files'])(
    'that is killed in %s is removed by the next one, or by --clean',
    async (step) => {
      await scene.administer('new', 'ALTER ROLE shop CREATEDB')
      const trial = await scene.trial(`rehearsal-killed-${step}`, {})
      const killed = trial.start({}, 'rehearse')
      await killed.until((event) => event.step === step && event.event === 'change' && event.phase === 'applying')
      killed.kill('SIGKILL')
      await killed.ended
      expect(await databases()).toHaveLength(1)
      const cleaned = await trial.start({}, 'rehearse', '--clean').ended
      expect(cleaned.exit, story(cleaned)).toBe(0)
      await nothingLeft(trial)
    },
  )

  it('that Ctrl-C stops cleans up before it ends', async () => {
    await scene.administer('new', 'ALTER ROLE shop CREATEDB')
    const trial = await scene.trial('rehearsal-interrupted', {})
    const running = trial.start({}, 'rehearse')
    await running.until((event) => event.step === 'restore-database' && event.event === 'change')
    running.kill('SIGINT')
    const run = await running.ended
    expect([0, 130], story(run)).toContain(run.exit)
    await nothingLeft(trial)
  })
})
