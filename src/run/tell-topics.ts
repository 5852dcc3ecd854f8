import { isParking } from './history.ts'

/** What people can be told of: the words that `on:` takes, and what each means. Adding one = a line here, and what raises it. */
export const topics = {
  failed: 'a step or the run failed',
  waiting: 'the run waits for a person',
  parked: 'rows or files were set aside for a person',
  cutover: 'DNS begins to move, has moved, or was moved back',
  headroom: 'the numbers kept free for the old host run out within the hour, or have',
  late: 'an order or a customer’s hit came to the old host after it had counted as drained',
  lagging: 'a name server gives the old address for an hour, or makes up its answers',
  unanswered: 'the watch gets no answer from a host',
  carrying: 'orders of the old host can’t be carried over at present',
  guard: 'what the guard finds on the new host after the cutover, what it does, and what of the way back is still to be done',
  drained: 'the old host gets no more orders or hits',
  clock: 'this machine’s clock was set, or the machine slept',
  finished: 'the run has ended',
  errors: 'anything else that is wrong and stops the run',
  warnings: 'any other warning',
} as const
export type Topic = keyof typeof topics

/** Without `on:`. Warnings are for the screen and the report; what is wrong ends in `failed`. */
export const usualTopics: readonly Topic[] = (Object.keys(topics) as Topic[]).filter(
  (topic) => topic !== 'errors' && topic !== 'warnings',
)

/** Findings that are about something that `on:` has a word for. What the watch's own figures tell of isn't here: it would be told twice. */
const OF_FINDINGS: Readonly<Record<string, Topic>> = {
  'late-order': 'late',
  'late-hit': 'late',
  'resolver-lies': 'lagging',
  'clock-jumped': 'clock',
  'carry-paused': 'carrying',
  'new-host-failing': 'guard',
  'new-host-unsteady': 'guard',
  'own-line-down': 'guard',
  'failback-off': 'guard',
  'failback-not-possible': 'guard',
  'failback-unfinished': 'guard',
  'carry-back-due': 'guard',
  'identity-leapt': 'headroom',
  'leap-by-hand': 'headroom',
  'leap-waits': 'headroom',
  'identity-overflow': 'headroom',
}
/** Told from the watch's figures, which also say when it is over. */
const IN_THE_WATCH: ReadonlySet<string> = new Set([
  'headroom-running-out',
  'headroom-used-up',
  'watch-database-unanswered',
  'logs-unreadable',
])

/** `undefined`: a finding that belongs to no topic, or to one that is told of otherwise. */
export function topicOfFinding(code: string, severity: 'error' | 'warning' | 'info'): Topic | undefined {
  if (isParking(code)) return 'parked'
  const own = OF_FINDINGS[code]
  if (own !== undefined) return own
  if (severity === 'info' || IN_THE_WATCH.has(code)) return undefined
  return severity === 'error' ? 'errors' : 'warnings'
}
