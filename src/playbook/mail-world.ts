import { getServers } from 'node:dns'
import { isIP } from 'node:net'
import type { Clock } from '../base/clock.ts'
import type { Resolver } from '../dns/port.ts'
import { isPublic } from '../mail/addresses.ts'
import { blocklists } from '../mail/blocklists.ts'
import type { MailTarget } from '../steps/world.ts'
import type { Playbook } from './model.ts'

/** To the customer and to the shop. */
const MAILS_PER_ORDER = 2

/**
 * What is known of the shop's mail. Without `mail:` it is taken to come from the site's own domain and to leave from the new host's
 * address, where that is one that the world can see; `undefined` when it isn't.
 */
export async function buildMail(playbook: Playbook, clock: Clock): Promise<MailTarget | undefined> {
  const { mail, site } = playbook
  const host = playbook.new.site?.hostname.replace(/^\[|\]$/g, '')
  const own = host !== undefined && isIP(host) !== 0 ? [host] : []
  const isSeen = own.some(isPublic) && site !== undefined && isIP(site.hostname) === 0
  if (mail === undefined && !isSeen) return undefined
  const { resolversFor } = await import('../dns/resolvers.ts')
  const servers = mail?.resolver === undefined ? getServers() : [mail.resolver]
  return {
    from: mail?.from ?? `shop@${site?.hostname.replace(/^www\./, '') ?? ''}`,
    isGiven: mail !== undefined,
    addresses: mail?.addresses ?? (mail?.via === undefined ? own : []),
    ...(mail?.via === undefined ? {} : { via: mail.via }),
    ...(mail?.dkim === undefined ? {} : { dkim: mail.dkim }),
    ...(mail?.hourly === undefined ? {} : { hourly: mail.hourly }),
    perOrder: mail?.perOrder ?? MAILS_PER_ORDER,
    blocklists: mail?.blocklists ?? blocklists,
    resolver: firstThatAnswers(resolversFor(servers, clock)),
  }
}

/** The next one is asked when one gives no usable answer, as this machine does for everything else. */
function firstThatAnswers(resolvers: readonly Resolver[]): Resolver {
  return {
    label: resolvers.map((resolver) => resolver.label).join(', '),
    query: async (name, type, signal) => {
      let answer: Awaited<ReturnType<Resolver['query']>> | undefined
      for (const resolver of resolvers) {
        answer = await resolver.query(name, type, signal)
        if (answer.status === 'NOERROR' || answer.status === 'NXDOMAIN') return answer
      }
      return answer ?? { status: 'UNREACHABLE', authoritative: false, records: [], negativeTtlSeconds: null, milliseconds: 0 }
    },
  }
}
