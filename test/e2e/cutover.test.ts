import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { differencesOn, longestGapMs, missingUploads } from './cutover/borne-out.ts'
import { type Crowd, gather } from './cutover/crowd.ts'
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
import type { Habit, News } from './cutover/messages.ts'
import { LOWERED_TTL_SECONDS, QUIET_SECONDS, writePlaybook } from './cutover/playbook.ts'
import { killAll, type MigrateRun, startMigrate, story, type WireEvent } from './migrate-process.ts'

const title = `a shop moved, with nothing played${cutoverMissing === null ? '' : ` (skipped: ${cutoverMissing})`}`
const CROWD: Readonly<Record<Habit, number>> = { prompt: 6, 'keep-alive': 3, sticky: 2 }
/** Logs have whole seconds. */
const SECOND_MS = 1000

type Rate = { readonly ordersPerMinute: number | null; readonly hitsPerMinute: number | null }
type Watch = WireEvent & {
  readonly resolvers: { readonly agreed: number; readonly total: number }
  readonly old: Rate
  readonly new: Rate
  readonly drained: boolean
}
const isWatch = (event: WireEvent): event is Watch => event.event === 'watch'
const allAgree = (event: WireEvent): boolean => isWatch(event) && event.resolvers.agreed === event.resolvers.total
const isDone = (step: string) => (event: WireEvent) => event.step === step && event.event === 'done'
const isBought = ({ kind }: News): boolean => kind === 'bought'
const isOfFamily = (news: News): boolean => news.kind === 'bought' && news.receipt.email.startsWith('family-')

describe.skipIf(cutoverMissing !== null)(title, { timeout: 300_000 }, () => {
  let scene: CutoverScene
  let crowd: Crowd
  let run: MigrateRun
  let again: MigrateRun
  beforeAll(async () => {
    scene = await startCutoverScene()
    const { port, ca, resolvers } = scene
    const addresses = resolvers.map(({ endpoint }) => endpoint)
    crowd = gather({ name: ZONE, port, ca, resolvers: addresses, crowd: CROWD })
  })
  afterAll(async () => {
    killAll()
    await crowd?.stop().catch(() => undefined)
    await scene?.stop()
  })

  const inZone = async (name: string, type: 'A' | 'MX' | 'NS' | 'CNAME' | 'TXT') =>
    (await scene.bind.resolver.query(name, type)).records.map(({ content, ttlSeconds }) => `${content} ${ttlSeconds}`)
  const firstAt = (wanted: (event: WireEvent) => boolean): number => Date.parse(run.events.find(wanted)?.time ?? '')
  const lastOnOld = (): number => Math.max(...crowd.news.filter(({ address }) => address === OLD_ADDRESS).map(({ at }) => at))

  it('goes to its end while customers buy all the time, the last ones on the old host long after DNS has moved', async () => {
    await crowd.until(isBought, 20)
    const { path, env } = writePlaybook(scene)
    const migrate = startMigrate(['run', path], env)
    const customers = (async () => {
      await migrate.until(isDone('cutover-dns'))
      scene.old.rotateLog()
      crowd.tell('family')
      await migrate.until(allAgree)
      const agreedAt = Date.now()
      await crowd.until((news) => news.habit === 'sticky' && isBought(news) && news.at > agreedAt, 5)
      await crowd.until((news) => news.habit === 'sticky' && isOfFamily(news), 1)
      crowd.tell('leave')
    })()
    const [ended, followed] = await Promise.allSettled([migrate.ended, customers])
    if (ended.status === 'rejected') throw ended.reason
    run = ended.value
    expect(run.exit, story(run)).toBe(0)
    if (followed.status === 'rejected') throw followed.reason
    const bought = crowd.news.filter(isBought).length
    await crowd.until(isBought, bought + 10)
    again = await startMigrate(['reconcile', path], env).ended
    await crowd.stop()
  })

  it('has not one customer meet a failure, and never keeps them waiting', () => {
    const { news } = crowd
    const gap = longestGapMs(news)
    process.stdout.write(`customers: ${news.length} visits, ${news.filter(isBought).length} orders, longest gap ${gap} ms\n`)
    expect(news.filter(({ kind }) => kind === 'failed')).toEqual([])
    expect(gap).toBeLessThan(CLAMP_SECONDS * SECOND_MS)
    for (const habit of Object.keys(CROWD)) {
      const places = new Set(news.filter((each) => each.habit === habit).map(({ address }) => address))
      expect(places, habit).toEqual(new Set([OLD_ADDRESS, NEW_ADDRESS]))
    }
  })

  it('finds every receipt on the new host, once, as it was given, and no order that nobody placed', async () => {
    const { lost, unknown } = await differencesOn(scene.new, crowd.news)
    expect(lost).toEqual([])
    expect(unknown).toEqual([expect.stringContaining('test@shop.example')])
  })

  it('makes one customer of who registered on both hosts, and accounts for every row', () => {
    const reconciled = run.events.findLast((event) => event.event === 'reconciled')
    const tables = reconciled?.tables as Readonly<Record<string, { readonly merged: number }>>
    expect(tables['public.customers']?.merged).toBeGreaterThan(0)
    expect(reconciled).toMatchObject({ proof: { unaccounted: 0 } })
    expect(again.exit, story(again)).toBe(0)
    expect(again.events.filter(({ event }) => event === 'change')).toEqual([])
  })

  it('has every picture that customers sent to either host', async () => {
    const sentTo = new Set(crowd.news.filter(({ kind }) => kind === 'uploaded').map(({ address }) => address))
    expect(sentTo).toEqual(new Set([OLD_ADDRESS, NEW_ADDRESS]))
    expect(await missingUploads(scene.new, crowd.news)).toEqual([])
  })

  it('waits the old TTL out before DNS moves', () => {
    const lowered = firstAt((event) => event.step === 'lower-ttl' && event.phase === 'applied')
    const moving = firstAt((event) => event.step === 'cutover-dns' && event.phase === 'applying')
    expect(moving - lowered).toBeGreaterThanOrEqual((OLD_TTL_SECONDS - 1) * SECOND_MS)
  })

  it('sees orders and hits on both hosts, and the old one drained only when the last customer had really gone', () => {
    const looks = run.events.filter(isWatch)
    for (const side of ['old', 'new'] as const) {
      expect(looks.some((look) => (look[side].hitsPerMinute ?? 0) > 0)).toBe(true)
      expect(looks.some((look) => (look[side].ordersPerMinute ?? 0) > 0)).toBe(true)
    }
    expect(run.events.filter(({ code }) => String(code).startsWith('log'))).toEqual([])
    const agreed = looks.findIndex(allAgree)
    const drained = looks.findIndex((look) => look.drained)
    expect(drained).toBe(looks.length - 1)
    expect(agreed).toBeLessThan(drained)
    expect(Date.parse(looks[agreed]?.time ?? '')).toBeLessThan(lastOnOld())
    expect(Date.parse(looks[drained]?.time ?? '')).toBeGreaterThan(lastOnOld() + (QUIET_SECONDS - 1) * SECOND_MS)
  })

  it('changed the playbook’s records and no other, in a zone whose signatures hold', async () => {
    const lowered = (content: string): readonly string[] => [`${content} ${LOWERED_TTL_SECONDS}`]
    expect(await inZone(ZONE, 'A')).toEqual(lowered(NEW_ADDRESS))
    expect(await inZone(`any.${ZONE}`, 'A')).toEqual(lowered(NEW_ADDRESS))
    expect(await inZone(`www.${ZONE}`, 'CNAME')).toEqual(lowered(ZONE))
    expect(await inZone(`mail.${ZONE}`, 'A')).toEqual(['127.0.34.9 300'])
    expect(await inZone(ZONE, 'MX')).toEqual([`10 mail.${ZONE} 300`])
    expect(await inZone(ZONE, 'NS')).toEqual([`ns1.${ZONE} 300`])
    expect(await inZone(`_acme-challenge.${ZONE}`, 'TXT')).toEqual([])
    const [, clamping, validating] = scene.resolvers
    expect((await validating.resolver.query(ZONE, 'A')).records[0]?.content).toBe(NEW_ADDRESS)
    await expect
      // What it holds has counted down by now: seen anew once that has run out.
      .poll(async () => (await clamping.resolver.query(ZONE, 'A')).records[0]?.ttlSeconds, { timeout: 30_000 })
      .toBeGreaterThan(LOWERED_TTL_SECONDS)
  })
})
