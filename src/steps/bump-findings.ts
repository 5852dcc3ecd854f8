import type { Finding } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import { isUsedUp, nearItsEnd, positionOf } from '../databases/plan/headroom.ts'
import type { IdentityState } from '../databases/schema.ts'
import type { Sized } from './bump-size.ts'
import { identityName } from './headroom.ts'

/** What is to be known of the old host's identities before they are raised on the new one, beyond what their sizes say. */
export function bumpFindings(states: readonly IdentityState[], sized: readonly Sized[]): readonly Finding[] {
  const targets = new Map(sized.map(({ record }) => [identityName(record.identity), BigInt(record.to)]))
  return states.flatMap((state) => {
    const name = identityName(state.identity)
    if (isUsedUp(state)) return [state.identity.cycles === true ? cycles(name) : usedUp(name, state)]
    const to = targets.get(name)
    const near = to === undefined ? undefined : nearItsEnd(name, state, to)
    return [
      ...(near === undefined ? [] : [near]),
      ...(state.identity.cycles === true ? [cycles(name)] : []),
      ...(state.identity.column === '' && to !== undefined ? [ofItsOwn(name, to - positionOf(state))] : []),
    ]
  })
}

const usedUp = (name: string, state: IdentityState): Finding => ({
  severity: 'warning',
  code: 'identity-used-up',
  message: `${name} has handed out its last value on the old host (${formatCount(state.last ?? positionOf(state))}): neither host can add rows to it.`,
  hint: 'Nothing to do for the migration; the table needs a wider type to grow.',
})

const cycles = (name: string): Finding => ({
  severity: 'warning',
  code: 'identity-cycles',
  message: `${name} begins anew when it reaches its end (CYCLE): from there on, no headroom keeps the two hosts' numbers apart.`,
  hint: 'Make sure that it is far from its end for as long as both hosts take orders, or switch the cycle off (NO CYCLE) before.',
})

const ofItsOwn = (name: string, distance: bigint): Finding => ({
  severity: 'info',
  code: 'sequence-of-its-own',
  message: `${name} is a sequence that no column uses by itself (invoice numbers, perhaps): it is raised too, so its numbers will have a gap of about ${formatCount(distance < 0n ? -distance : distance)}.`,
  hint: 'If the law wants such numbers without gaps, tell your bookkeeper why there is one; the report names it.',
})
