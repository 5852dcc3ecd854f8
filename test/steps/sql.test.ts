import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { canonicalJson } from '../../src/base/json.ts'
import type { Step } from '../../src/run/step.ts'
import { sqlKind } from '../../src/steps/sql.ts'
import { MemoryShop } from '../fakes/memory-shop.ts'
import { perform, TestRun, takeBack, testContext, testWorld } from '../fakes/step-run.ts'

const set = (value: string): string => `set-all ${JSON.stringify({ table: 'orders', column: 'status', value })}`

describe('statements of the user', () => {
  let directory: string
  let shop: MemoryShop
  let run: TestRun
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'migrate-sql-'))
    shop = new MemoryShop()
    await shop.createShop()
    await shop.insert('customers', { email: 'ada@example.com' })
    await shop.insert('orders', { customer_id: '1', placed: 'now' })
    run = new TestRun(directory)
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  const step = (options: object): Step => {
    const world = testWorld({ new: { database: shop.open() } })
    return sqlKind.create(sqlKind.options.parse({ on: 'new', ...options }), testContext(world, 'sql', directory))
  }
  const status = async (): Promise<unknown> => (await shop.rows('orders')).map((row) => row.status)

  it('run once, are not run again, and are taken back by their opposite', async () => {
    const send = step({ statements: set('sent'), undo: set('open') })
    expect(await send.check(run)).toEqual([])
    const changes = await perform(send, run)
    expect(await status()).toEqual(['sent'])
    expect(await send.plan(run)).toEqual([])
    await takeBack(send, changes, run)
    expect(await status()).toEqual(['open'])
  })

  it('without an opposite are a point of no return', () => {
    expect(step({ statements: set('sent') }).undo).toBeUndefined()
  })

  it('come from a file beside the playbook, ended by GO; a missing file is found beforehand', async () => {
    await writeFile(join(directory, 'mend.sql'), `${set('packed')}\nGO\n${set('sent')}\ngo\n`)
    await perform(step({ file: 'mend.sql' }), run)
    expect(await status()).toEqual(['sent'])
    expect(await step({ file: 'lost.sql' }).check(run)).toMatchObject([{ severity: 'error', code: 'sql-file-unreadable' }])
  })

  it('that were cut off in an earlier process are run again only when a person says so', async () => {
    const cut = step({ statements: [set('sent')] })
    const [change] = await cut.plan(run)
    run.journal.set(canonicalJson(change ?? null), 'begun')
    run.answer = false
    await perform(cut, run)
    expect(run.questions).toHaveLength(1)
    expect(await status()).toEqual(['open'])
    run.journal.set(canonicalJson(change ?? null), 'begun')
    run.answer = true
    await perform(cut, run)
    expect(await status()).toEqual(['sent'])
  })

  it('declared repeatable are run again without a question', async () => {
    const cut = step({ statements: set('sent'), repeatable: true })
    const [change] = await cut.plan(run)
    run.journal.set(canonicalJson(change ?? null), 'begun')
    await perform(cut, run)
    expect(run.questions).toEqual([])
    expect(await status()).toEqual(['sent'])
  })

  it('that fail leave nothing half done', async () => {
    await expect(perform(step({ statements: [set('sent'), 'nonsense'] }), run)).rejects.toMatchObject({
      code: 'database-statement-failed',
    })
    expect(await status()).toEqual(['open'])
  })

  it('must be given one way or the other', () => {
    expect(sqlKind.options.safeParse({ on: 'new' }).success).toBe(false)
    expect(sqlKind.options.safeParse({ on: 'new', file: 'a', statements: 'b' }).success).toBe(false)
  })
})
