import type { Clock } from '../base/clock.ts'
import { type Finding, MigrateError, messageOf } from '../base/errors.ts'
import { inTime } from '../base/time-limit.ts'
import type { Hook } from '../run/tell-outbox.ts'
import { usualTopics } from '../run/tell-topics.ts'
import type { NamedNotifier, World } from '../steps/world.ts'

/** The playbook's hooks as a run uses them, with every text as `say` puts it. */
export const hooksOf = ({ notifiers = [] }: World, say: (text: string) => string): readonly Hook[] =>
  notifiers.map(({ name, on, notifier }) => ({
    name,
    label: notifier.label,
    wants: (topic, code) => (topic !== null && on.includes(topic)) || (code !== null && on.includes(`code:${code}`)),
    send: (notice, signal) => notifier.send({ ...notice, title: say(notice.title), text: say(notice.text) }, signal),
  }))

/** For one channel, milliseconds. */
const CHECK_MS = 15_000

/** Who would be told of what, and whether that would arrive as far as can be seen. Sends nothing. */
export async function checkHooks({ notifiers = [] }: World, clock: Clock, signal: AbortSignal): Promise<readonly Finding[]> {
  return (await Promise.all(notifiers.map((each) => checkOne(each, clock, signal)))).flat()
}

async function checkOne({ name, on, notifier }: NamedNotifier, clock: Clock, signal: AbortSignal): Promise<readonly Finding[]> {
  const isUsual = on.length === usualTopics.length && on.every((word, index) => word === usualTopics[index])
  const told: Finding = {
    severity: 'info',
    code: 'notice-hook',
    message: `${name} (${notifier.label}) is told of ${isUsual ? 'the usual things: ' : ''}${on.join(', ')}.`,
  }
  const late = () => new MigrateError('notice-channel-unreachable', 'it took too long to find out')
  try {
    return [told, ...(await inTime({ clock, signal, ms: CHECK_MS, late }, (cut) => notifier.check(cut)))]
  } catch (error) {
    signal.throwIfAborted()
    return [told, slow(notifier.label, error)]
  }
}

const slow = (label: string, error: unknown): Finding => ({
  severity: 'warning',
  code: 'notice-channel-unreachable',
  message: `Whether ${label} can be reached isn't known: ${messageOf(error)}.`,
  hint: 'The run goes on all the same; nobody would be told.',
})
