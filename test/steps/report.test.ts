import { existsSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { MigrateError } from '../../src/base/errors.ts'
import { reportOf } from '../../src/report/index.ts'
import { runSequence } from '../../src/run/runner.ts'
import type { Step } from '../../src/run/step.ts'
import { rollback } from '../../src/run/undo.ts'
import { reportKind } from '../../src/steps/report.ts'
import { testContext, testWorld } from '../fakes/step-run.ts'
import { putStep, runOver, Shelf, storyOf } from '../run/shelf.ts'

/** Stands for the reconcile step: tells what the report is to show. */
const reconciling = (shelf: Shelf): Step =>
  ({
    ...putStep(shelf, { id: 'reconcile', phase: 'settle', puts: { carried: 'yes' } }),
    change: z.any(),
    title: 'Carry the late orders over',
    verify: async (run) => {
      run.progress(1393, 1393, 'rows', 'Orders')
      run.emit({
        event: 'reconciled',
        pass: 1,
        tables: {
          Orders: { inserted: 1393, updated: 0, deleted: 0, merged: 0, remapped: 0, parked: 0 },
          Products: { inserted: 0, updated: 0, deleted: 0, merged: 0, remapped: 0, parked: 0 },
        },
        headroom: [{ table: 'Orders', column: 'OrderID', raisedBy: '1500', used: '1393', left: '107' }],
        proof: { rows: 54321, accounted: 54321, unaccounted: 0 },
      })
      await run.remember('principals', [{ name: 'shop', grants: ['SELECT ON Orders'] }])
      return [
        { severity: 'warning', code: 'mail', message: 'No SPF record | for <shop.example>', hint: 'Add one.' },
        { severity: 'info', code: 'more', message: 'Late.', hint: 'To see them:  migrate reconcile PLAYBOOK --dry-run' },
      ]
    },
  }) as Step

async function reported(more: { readonly broken?: () => boolean } = {}) {
  const shelf = new Shelf()
  const report = reportKind.create({}, { ...testContext(testWorld({}), 'report'), playbookName: 'my shop.yml' })
  const lower = putStep(shelf, { id: 'lower-ttl', puts: { ttl: '60' } })
  const cutover = putStep(shelf, {
    id: 'cutover-dns',
    phase: 'cutover',
    puts: { dns: 'new' },
    before: async (_change, run) => {
      await run.clock.sleep(90_000, run.signal)
      if (more.broken?.() === true) throw new MigrateError('token', 'token rejected', { hint: 'Make a new one.' })
    },
  })
  return await runOver([[lower], [cutover], [reconciling(shelf)], [report]])
}

describe('the report', () => {
  it('tells when what was done, how long it took, and the figures that the team wants', async () => {
    const { options } = await reported()

    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })

    const text = await readFile(join(options.directory, 'report.md'), 'utf8')
    expect(text).toContain('# The move of shelf')
    expect(text).toContain('| 2009-08-26 03:30:00 |  | The run began. |  |')
    expect(text).toContain('| 2009-08-26 03:31:30 | cutover-dns | put dns=new |  |')
    expect(text).toContain('| 2009-08-26 03:31:30 | cutover-dns | Put dns: done. | 1 min 30 s |')
    expect(text).toContain('- Carry the late orders over: 1,393 rows in')
    expect(text).toContain('| Orders | 1,393 | 0 | 0 | 0 | 0 | 0 |')
    expect(text).not.toContain('| Products |')
    expect(text).toContain('- Orders.OrderID: raised by 1,500, used 1,393, left 107')
    expect(text).toContain("every one of the old host's 54,321 rows is accounted for")
    expect(text).toContain('- warning (reconcile): No SPF record \\| for &lt;shop.example> Add one.')
    expect(text).toContain('- shop: SELECT ON Orders')
    expect(text).toContain('- [ ] Raise the TTL of the DNS records again.')
    expect(text).toContain('- [ ] Keep the old host for at least three days')
    expect(text).toContain('## Post-mortem')
    // Whoever reads it can type what it says.
    expect(text).not.toContain('PLAYBOOK')
    expect(text).toContain(`migrate reconcile 'my shop.yml' --state ${options.directory}`)
  })

  it('is the same, and not written again, when nothing has happened since', async () => {
    const { options, events } = await reported()
    await runSequence(options)
    const path = join(options.directory, 'report.md')
    const before = await readFile(path, 'utf8')
    const { mtimeMs } = await stat(path)
    events.length = 0

    await runSequence(options)
    await runSequence(options)

    expect(storyOf(events).filter((line) => line === 'skipped report')).toHaveLength(2)
    expect(await readFile(path, 'utf8')).toBe(before)
    expect((await stat(path)).mtimeMs).toBe(mtimeMs)
  })

  it('tells of failures and of the time at which the run was resumed', async () => {
    let broken = true
    const { options } = await reported({ broken: () => broken })
    await runSequence(options)
    broken = false
    await options.clock.sleep(600_000)
    await runSequence(options)

    const text = await readFile(join(options.directory, 'report.md'), 'utf8')
    expect(text).toContain('| 2009-08-26 03:31:30 | cutover-dns | Put dns: failed. token rejected |')
    expect(text).toContain('| 2009-08-26 03:41:30 |  | The run was resumed. |')
  })

  it('can be had at any time from the journal alone, with how the run ended', async () => {
    const { options } = await reported({ broken: () => true })
    await runSequence(options)

    expect(existsSync(join(options.directory, 'report.md'))).toBe(false)
    expect(await reportOf(options.directory)).toContain('Ended 2009-08-26 03:31:30: failed.')
    expect(await reportOf('/nowhere')).toBeUndefined()
  })

  it('goes with a rollback, which the journal still tells of', async () => {
    const { options } = await reported()
    await runSequence(options)

    expect(await rollback(options)).toMatchObject({ outcome: 'ok' })

    expect(existsSync(join(options.directory, 'report.md'))).toBe(false)
    const text = await reportOf(options.directory)
    expect(text).toContain('taken back: put dns=new')
    expect(text).not.toContain('Keep the old host')
  })
})
