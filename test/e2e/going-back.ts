import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buy, type Receipt, withReceipts } from './customers.ts'
import { everything, type StoryEngine } from './engine.ts'
import { story } from './migrate-process.ts'
import { NEW_ADDRESS, OLD_ADDRESS, type StoryHosts, startStory, ZONE } from './story-hosts.ts'

/** The morning after: the new host disappoints, and the founder goes back. Told once for each engine. */
export function goBack(engine: StoryEngine, skipped: string | null): void {
  const title = `going back after the cutover on ${engine.name}${skipped === null ? '' : ` (skipped: ${skipped})`}`
  describe.skipIf(skipped !== null)(title, { timeout: 300_000 }, () => {
    let hosts: StoryHosts
    let births: readonly Receipt[] = []
    const addresses = (): readonly string[] =>
      hosts.zone.records().flatMap((record) => (record.name === ZONE && record.type === 'A' ? [record.content] : []))
    beforeAll(async () => {
      hosts = await startStory(engine)
      const run = await hosts.run('run', '--yes')
      expect(run.exit, story(run)).toBe(0)
      expect(addresses()).toEqual([NEW_ADDRESS])
      births = await buy(hosts.new, 30, 'born-on-new')
    })
    afterAll(() => hosts?.stop())

    it('says beforehand what it would do, and does nothing of it', async () => {
      const before = { old: await everything(hosts.old), new: await everything(hosts.new), dns: addresses() }
      const told = await hosts.run('rollback', '--dry-run')
      expect(told.exit, story(told)).toBe(0)
      const planned = told.events.filter((event) => event.event === 'change').map((event) => [event.step, event.phase])
      expect(planned).toContainEqual(['cutover-dns', 'planned'])
      expect(planned).toContainEqual(['carry-back', 'planned'])
      expect({ old: await everything(hosts.old), new: await everything(hosts.new), dns: addresses() }).toEqual(before)
    })

    it('sends customers back and carries every order of the new host to the old one, same numbers', async () => {
      const fresh = await everything(hosts.new)
      const back = await hosts.run('rollback', '--yes')
      expect(back.exit, story(back)).toBe(0)
      expect(back.events.filter((event) => event.event === 'finished')).toHaveLength(1)
      expect(addresses()).toEqual([OLD_ADDRESS])
      await withReceipts(hosts.old, births)
      expect(await everything(hosts.new)).toEqual(fresh)
    })

    it('lets the old host number on where nothing meets what was carried', async () => {
      const largest = births.reduce((most, receipt) => (BigInt(receipt.id) > most ? BigInt(receipt.id) : most), 0n)
      const next = await hosts.old.order('3', '12.5000')
      expect(BigInt(next)).toBeGreaterThan(largest)
    })

    it('doesn’t go forward again with numbers that no longer fit', async () => {
      const before = { old: await everything(hosts.old), new: await everything(hosts.new), dns: addresses() }
      const forward = await hosts.run('run', '--yes')
      expect(forward.exit, story(forward)).toBe(2)
      expect(forward.events.find((event) => event.event === 'failed')).toMatchObject({ code: 'went-back' })
      expect({ old: await everything(hosts.old), new: await everything(hosts.new), dns: addresses() }).toEqual(before)
    })

    it('carries the stragglers of the new host when it is run again, and then nothing', async () => {
      const late = await buy(hosts.new, 5, 'late-on-new')
      const again = await hosts.run('rollback', '--yes')
      expect(again.exit, story(again)).toBe(0)
      await withReceipts(hosts.old, [...births, ...late])
      const last = await hosts.run('rollback', '--yes')
      expect(
        last.events.filter((event) => event.event === 'change'),
        story(last),
      ).toEqual([])
    })
  })
}
