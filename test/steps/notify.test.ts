import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import type { Notice } from '../../src/base/notice.ts'
import type { Step } from '../../src/run/step.ts'
import { notifyKind } from '../../src/steps/notify.ts'
import type { NamedNotifier } from '../../src/steps/world.ts'
import { FakeClock } from '../fakes/clock.ts'
import { perform, TestRun, testContext, testWorld } from '../fakes/step-run.ts'

/** A hook that keeps what it takes. */
function named(
  name: string,
  send: (notice: Notice) => Promise<void> = async () => undefined,
): NamedNotifier & { readonly got: Notice[] } {
  const got: Notice[] = []
  const notifier = {
    label: `command ${name}`,
    check: async () => [],
    send: async (notice: Notice) => {
      await send(notice)
      got.push(notice)
    },
    close: async () => undefined,
  }
  return { name, on: [], notifier, got }
}

const stepFor = (options: unknown, notifiers: readonly NamedNotifier[]): Step =>
  notifyKind.create(notifyKind.options.parse(options), testContext({ ...testWorld({}), notifiers }, 'notify'))

const newRun = async (): Promise<TestRun> => new TestRun(await mkdtemp(join(tmpdir(), 'migrate-notify-')), new FakeClock())

describe('the step notify', () => {
  it('tells every hook, or those that it names, and no second time', async () => {
    const [ops, boss] = [named('ops'), named('boss')]
    const run = await newRun()

    await perform(stepFor('The shop is on the new host.\nWatch the orders.', [ops, boss]), run)
    expect(ops.got).toMatchObject([
      { title: 'test: The shop is on the new host.', text: 'The shop is on the new host.\nWatch the orders.' },
    ])
    expect(boss.got).toHaveLength(1)

    const again = stepFor({ text: 'For the boss.', to: 'boss' }, [ops, boss])
    await perform(again, run)
    expect([ops.got.length, boss.got.length]).toEqual([1, 2])
    expect(await again.plan(run)).toEqual([])
  })

  it('needs hooks, and those that it names', async () => {
    const run = await newRun()

    expect(await stepFor('hello', []).check(run)).toMatchObject([{ severity: 'error', code: 'playbook-part-missing' }])
    expect(await stepFor({ text: 'hello', to: ['bos'] }, [named('boss')]).check(run)).toMatchObject([
      { code: 'notify-hook-unknown', hint: 'Did you mean "boss"?' },
    ])
    expect(await stepFor({ text: 'hello', to: ['boss'] }, [named('boss')]).check(run)).toEqual([])
  })

  it('goes on when a message can’t be delivered, which is a warning, and tells the others', async () => {
    const broken = named('broken', async () => {
      throw new MigrateError('notice-undelivered', 'It answered 503.', { retrySafe: true })
    })
    const ops = named('ops')
    const run = await newRun()

    await perform(stepFor('hello', [broken, ops]), run)

    expect(ops.got).toHaveLength(1)
    expect(run.events).toEqual([
      {
        event: 'finding',
        severity: 'warning',
        code: 'notice-undelivered',
        message: 'A message could not be delivered by broken: It answered 503.',
      },
    ])
  })
})
