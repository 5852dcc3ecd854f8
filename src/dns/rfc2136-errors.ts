import { isoTime } from '../base/clock.ts'
import { MigrateError } from '../base/errors.ts'
import { formatDuration } from '../base/units.ts'
import { rcodeName } from './rcodes.ts'
import type { Answered, Primary, Unanswered } from './rfc2136-exchange.ts'
import { FUDGE_SECONDS } from './rfc2136-tsig.ts'

/** RFC 8945, 4.2 and 5.2. */
const TSIG_ERRORS: Readonly<Record<number, 'BADSIG' | 'BADKEY' | 'BADTIME' | 'BADTRUNC'>> = {
  16: 'BADSIG',
  17: 'BADKEY',
  18: 'BADTIME',
  22: 'BADTRUNC',
}

export interface Endpoint {
  readonly zone: string
  /** `192.0.2.53:5301`. */
  readonly server: string
  readonly primary: Primary
}

export const rcodeOf = ({ message }: Answered): string => rcodeName(message.rcode)

/** The server couldn't be asked, or its answer was lost. `effect` says what is known of the zone. */
export const unreachable = ({ server }: Endpoint, { why, cause }: Unanswered, task: string, effect: string): MigrateError =>
  new MigrateError('dns-unreachable', `The name server ${server} could not be asked to ${task}: ${why}. ${effect}`, {
    hint: 'Check dns.server in the playbook, that TCP to its port is open from here, and that the server runs; then run again.',
    retrySafe: true,
    cause,
  })

/**
 * What a server refused, as an error for people; `undefined` when it refused nothing. `task` completes "could not be asked to".
 * An answer without a good signature is none: that is for the caller to judge, after this.
 */
export function refusalOf(answer: Answered, endpoint: Endpoint, task: string): MigrateError | undefined {
  return tsigRefusal(answer, endpoint) ?? rcodeRefusal(rcodeOf(answer), endpoint, task)
}

/**
 * The same for an update by a key with which the server has just signed another answer. Knot says BADKEY of a key that it knows and that
 * may not update.
 */
export function updateRefusalOf(answer: Answered, endpoint: Endpoint, task: string): MigrateError | undefined {
  if (TSIG_ERRORS[answer.verdict.error] === 'BADKEY') return rcodeRefusal('REFUSED', endpoint, task)
  return refusalOf(answer, endpoint, task)
}

function tsigRefusal({ verdict }: Answered, { server, primary }: Endpoint): MigrateError | undefined {
  const error = TSIG_ERRORS[verdict.error]
  const { name, algorithm } = primary.key
  if (error === undefined) return undefined
  if (error === 'BADTIME') return badTime(verdict.serverTime, server, primary)
  const says: Readonly<Record<string, string>> = {
    BADKEY: `The name server ${server} doesn't know the key ${name} (${algorithm}), or doesn't take it for this zone (BADKEY). Nothing was changed.`,
    BADSIG: `The name server ${server} knows the key ${name}, but with another secret (BADSIG). Nothing was changed.`,
    BADTRUNC: `The name server ${server} wants another length of signature of the key ${name} (BADTRUNC). Nothing was changed.`,
  }
  return new MigrateError('dns-key-rejected', says[error] ?? error, {
    hint: `Compare dns.key in the playbook (name, algorithm, secret) with the key in the server's configuration: the name counts, too.`,
  })
}

function badTime(serverTime: number | null, server: string, primary: Primary): MigrateError {
  const now = Math.floor(primary.clock.now() / 1000)
  const difference =
    serverTime === null
      ? 'it doesn’t say by how much'
      : `it says ${isoTime(serverTime * 1000)}, and here it is ${isoTime(now * 1000)}: ${formatDuration(Math.abs(now - serverTime) * 1000)} ${now > serverTime ? 'ahead' : 'behind'}`
  return new MigrateError(
    'dns-time-rejected',
    `The clocks of the name server ${server} and of this machine differ too much for signed messages (BADTIME; ${FUDGE_SECONDS} s are allowed): ${difference}. Nothing was changed.`,
    { hint: 'Set the wrong one of the two clocks (NTP), then run again.' },
  )
}

function rcodeRefusal(rcode: string, { zone, server, primary }: Endpoint, task: string): MigrateError | undefined {
  const says = `The name server ${server} refused to ${task}`
  const { name } = primary.key
  switch (rcode) {
    case 'NOERROR':
      return undefined
    case 'REFUSED':
      return new MigrateError('dns-permission-denied', `${says}: the key ${name} may not. Nothing was changed.`, {
        hint: `Allow the key to update ${zone}: with BIND, update-policy { grant ${name} zonesub A AAAA CNAME; }; with Knot, an acl with key: ${name} and action: update.`,
      })
    case 'NOTAUTH':
      return new MigrateError(
        'dns-zone-missing',
        `${says}: it isn't in charge of the zone ${zone} (NOTAUTH). Nothing was changed.`,
        {
          hint: 'Correct dns.zone, or give in dns.server the primary name server of the zone.',
        },
      )
    case 'NXRRSET':
    case 'YXRRSET':
    case 'NXDOMAIN':
    case 'YXDOMAIN':
      return new MigrateError(
        'dns-record-changed',
        `Somebody else changed the records of ${zone} in the very moment (${rcode}). None of the planned changes was made.`,
        { hint: 'Find out who changed them (colleague, other tool). Then run again: the plan is made anew from what stands.' },
      )
    case 'NOTIMP':
      return new MigrateError('dns-failed', `${says}: it takes no dynamic updates (NOTIMP). Nothing was changed.`, {
        hint: 'Give in dns.server the zone’s primary name server, or use another provider.',
      })
    default:
      return new MigrateError('dns-failed', `${says}: ${rcode}. Nothing was changed.`, {
        hint: 'The server’s own log says why: a read-only zone file or journal, a frozen zone, keys that can’t be read.',
        retrySafe: rcode === 'SERVFAIL',
      })
  }
}

/** An answer that anybody may have sent. */
export const unsignedAnswer = ({ server, primary }: Endpoint, task: string): MigrateError =>
  new MigrateError(
    'dns-answer-unsigned',
    `The name server ${server} was asked to ${task}, but its answer isn't signed with the key ${primary.key.name}, so it is not believed. Nothing was changed.`,
    {
      hint: 'Compare dns.key with the server’s configuration; something between here and there may also change DNS messages.',
    },
  )
