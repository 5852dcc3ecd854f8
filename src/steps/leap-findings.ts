import { messageOf } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { type Move, otherSide, type Side } from '../databases/plan/gap.ts'

/** What a person is told of a leap: always with what to do. */
export interface LeapFinding {
  readonly severity: 'error' | 'warning' | 'info'
  readonly code: string
  readonly message: string
  readonly hint: string
}

export const BY_HAND = 'leap-by-hand'

/** What stands in the way of moving an identity, where something does. */
export type Obstacle = 'observing' | 'rights'

export const leapt = (label: string, { moved, from, to }: Move): LeapFinding => ({
  severity: 'warning',
  code: 'identity-leapt',
  message: `${label}: there was little room left between the two hosts' numbers, so the ${moved} host was moved past the ${otherSide(moved)} host, which stands at ${formatCount(from)}: it goes on beyond ${formatCount(to)}.`,
  hint: 'Nothing to do: reconcile carries the numbers of before and after alike; there is only a gap between them.',
})

interface ByHand {
  readonly label: string
  readonly move: Move
  readonly obstacle: Obstacle
  readonly when: string
  readonly left: bigint
  readonly sql: string | undefined
}

export function byHand({ label, move, obstacle, when, left, sql }: ByHand): LeapFinding {
  const who = obstacle === 'rights' ? 'This account may not move its numbers on' : 'A watch only looks, and moves nothing on'
  const act = sql === undefined ? `move its numbering beyond ${move.to}` : `run there: ${sql}`
  return {
    severity: obstacle === 'rights' ? 'error' : 'warning',
    code: BY_HAND,
    message: `${label}: the room of the ${move.moved} host ${when} (${formatCount(left > 0n ? left : 0n)} left); from then on both hosts hand out the same numbers. ${who} the ${move.moved} host.`,
    hint:
      obstacle === 'rights'
        ? `Now, as the owner of the ${move.moved} database, ${act}`
        : `The run's own watch-propagation moves it while it goes on. If none does, ${act}`,
  }
}

export const cantSee = (label: string): LeapFinding => ({
  severity: 'warning',
  code: 'leap-waits',
  message: `There is little room left between the two hosts' numbers of ${label}, but where they stand can't be asked at present.`,
  hint: 'It is tried again at every look.',
})

export const noRoom = (label: string, increment: string): LeapFinding => ({
  severity: 'error',
  code: 'identity-overflow',
  message: `${label} can't be moved past the other host's numbers: its type or sequence (in steps of ${increment}) ends before that.`,
  hint: 'Stop orders on the old host now (a maintenance page): both hosts would hand out the same numbers.',
})

export const failed = (label: string, moved: Side, error: unknown): LeapFinding => ({
  severity: 'warning',
  code: 'leap-waits',
  message: `${label} couldn't be moved on the ${moved} host (${messageOf(error)}).`,
  hint: 'It is tried again at every look.',
})

export const keptFinding = (name: string): LeapFinding => ({
  severity: 'info',
  code: 'leap-kept',
  message: `${name} on the old host stays where it was moved: numbers were handed out since, and going back would hand them out again.`,
  hint: 'Nothing to do: its numbers only have a gap.',
})

export const usedUp = (name: string, behind: Side): LeapFinding => ({
  severity: 'error',
  code: 'headroom-used-up',
  message: `The ${behind} host has used the whole headroom of ${name}: its new numbers are those that the other host gave out too.`,
  hint: 'Such rows are found by reconcile and parked or remapped, not lost. Stop orders on the old host if you can (a maintenance page).',
})
