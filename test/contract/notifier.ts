import { inspect } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { MigrateError, messageOf } from '../../src/base/errors.ts'
import type { Notice } from '../../src/base/notice.ts'
import type { Notifier } from '../../src/notices/port.ts'

/** What a receiver does with a message. `hangs`: it takes it and never says anything. */
export type Receiver = 'takes' | 'fails' | 'refuses' | 'hangs' | 'absent'

export interface NotifierBench {
  readonly notifier: Notifier
  /** What arrived, as text: titles and bodies together. */
  received(): readonly string[]
  /** Resolves once something has come to a receiver that hangs. */
  readonly reached: Promise<void>
  /** None of these may be seen anywhere. */
  readonly secrets: readonly string[]
  close(): Promise<void>
}

export interface NotifierSuite {
  readonly name: string
  open(receiver: Receiver): Promise<NotifierBench>
  /** Receivers that this channel doesn't know. */
  readonly without?: readonly Receiver[]
}

/** Whatever a shop's messages hold: nothing of it may be understood by anybody on the way. */
export const NASTY = `Ärger: 1 < 2 & "$(touch nasty)" \`touch nasty\`; ' \\n %s <!everyone> @everyone\n.\n→ second line 漢字`

export const noticeOf = (more: Partial<Notice> = {}): Notice => ({
  id: 'one',
  playbook: 'shop',
  run: 'run-1',
  step: 'watch-propagation',
  time: '2026-11-26T03:30:00.000Z',
  topic: 'headroom',
  severity: 'warning',
  code: 'headroom-running-out',
  title: 'shop: headroom runs out',
  text: 'At the present rate it is used up in 40 min.',
  ...more,
})

const never = (): AbortSignal => new AbortController().signal

/** The contract of `Notifier` (src/notices/port.ts), on a real receiver. */
export function notifierContract(suite: NotifierSuite): void {
  const benches: NotifierBench[] = []
  const open = async (receiver: Receiver): Promise<NotifierBench> => {
    const bench = await suite.open(receiver)
    benches.push(bench)
    return bench
  }
  const knows = (receiver: Receiver): boolean => suite.without?.includes(receiver) !== true
  afterEach(async () => {
    for (const { notifier, close } of benches.splice(0)) {
      await notifier.close()
      await close()
    }
  })
  const failureOf = async ({ notifier, secrets }: NotifierBench, signal = never()): Promise<MigrateError> => {
    const error = await notifier.send(noticeOf(), signal).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof MigrateError)) throw new Error(`expected a MigrateError, got ${inspect(error)}`)
    for (const secret of secrets) expect(`${error.message} ${error.hint} ${notifier.label}`).not.toContain(secret)
    return error
  }

  describe(`the channel ${suite.name}`, () => {
    it('delivers a message with all that is in it, and nothing of it is understood by anybody on the way', async () => {
      const bench = await open('takes')

      await bench.notifier.send(noticeOf({ title: 'shop: Ärger "$(touch nasty)"', text: NASTY }), never())

      expect(bench.received()).toHaveLength(1)
      expect(bench.received()[0]).toContain('second line 漢字')
      expect(bench.received()[0]).toContain('touch nasty')
      expect(bench.received()[0]).toContain('Ärger')
    })

    it('is found to be in order by its check, which sends nothing', async () => {
      const bench = await open('takes')

      expect(await bench.notifier.check(never())).toEqual([])

      expect(bench.received()).toEqual([])
    })

    it('is a warning of its check when nobody is there, with what to do', async () => {
      const { notifier, secrets } = await open('absent')

      const findings = await notifier.check(never())

      expect(findings).toMatchObject([{ severity: 'warning', code: 'notice-channel-unreachable', hint: expect.any(String) }])
      for (const secret of secrets) expect(JSON.stringify(findings)).not.toContain(secret)
    })

    it('says that a message may be tried again when the receiver has trouble of its own', async () => {
      const error = await failureOf(await open('fails'))

      expect(error).toMatchObject({ code: 'notice-undelivered', retrySafe: true })
      expect(error.message).toContain('The migration is not touched')
    })

    it.runIf(knows('refuses'))('says that trying again is of no use when the receiver refuses', async () => {
      expect(await failureOf(await open('refuses'))).toMatchObject({
        code: 'notice-refused',
        retrySafe: false,
        hint: expect.any(String),
      })
    })

    it('ends when it is told to, whatever the receiver does', async () => {
      const { notifier, reached } = await open('hangs')
      const stop = new AbortController()
      const sending = notifier.send(noticeOf(), stop.signal).catch(messageOf)

      await reached
      stop.abort(new Error('enough'))

      expect(await sending).toContain('enough')
    })

    it('never shows a secret, however it is looked at', async () => {
      const { notifier, secrets } = await open('takes')

      for (const secret of secrets) expect(inspect(notifier, { depth: 9 }) + JSON.stringify(notifier)).not.toContain(secret)
    })
  })
}
