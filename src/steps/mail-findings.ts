import type { Finding } from '../base/errors.ts'
import { isPublic } from '../mail/addresses.ts'
import { listing } from '../mail/blocklists.ts'
import { dmarcPolicy } from '../mail/dmarc.ts'
import { type Lookup, lookupWith } from '../mail/lookup.ts'
import { nameOfAddress } from '../mail/reverse.ts'
import { checkSpf, type SpfVerdict } from '../mail/spf.ts'
import type { StepRun } from '../run/step.ts'
import { gather } from './database-parts.ts'
import { sendingFindings } from './mail-sending.ts'
import { signingFindings } from './mail-signing.ts'
import { volumeFindings } from './mail-volume.ts'
import type { MailTarget, World } from './world.ts'

/**
 * Whether the world would take the shop's mails from the new host: its address's name, SPF, DKIM, DMARC, lists of blocked senders,
 * the way out, and how many mails an hour are to be expected. Nothing of it stops a run. Read-only; no mail is sent.
 */
export async function mailFindings(world: World, run: StepRun): Promise<readonly Finding[]> {
  const { mail } = world
  if (mail === undefined) return []
  const lookup = lookupWith(mail.resolver, run.signal)
  const domain = domainOf(mail.from)
  const found = await gather(
    async () => (await Promise.all(mail.addresses.map((address) => addressFindings(address, mail, lookup)))).flat(),
    () => permissionFindings(mail, domain, lookup),
    () => sendingFindings(world, mail, lookup, run),
    () => volumeFindings(world, mail, run),
  )
  if (found.some((finding) => finding.severity !== 'info')) return found
  return [
    ...found,
    {
      severity: 'info',
      code: 'mail-ready',
      message: `Nothing was found that would keep mails from ${mail.from} away from customers.`,
    },
  ]
}

const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1).toLowerCase()

async function addressFindings(address: string, mail: MailTarget, lookup: Lookup): Promise<readonly Finding[]> {
  const domain = domainOf(mail.from)
  return gather(
    () => reverseFindings(address, domain, lookup),
    async () => {
      const all = await Promise.all(mail.blocklists.map((list) => listing(address, list, lookup)))
      const silent = all.filter((each) => each.state === 'silent').map((each) => each.list)
      return [
        ...all.filter((each) => each.state === 'listed').map((each) => listed(address, each.list, each.reason)),
        ...(silent.length === 0 ? [] : [unasked(address, silent)]),
      ]
    },
  )
}

const listed = (address: string, list: string, reason: string): Finding => ({
  severity: 'warning',
  code: 'mail-address-listed',
  message: `${address}, from which the new host sends, is on ${list}${reason === '' ? '' : `: ${reason}`}. Receivers that ask it refuse the shop’s mails.`,
  hint: `Ask the new host for another address, or have it taken off at ${list}; until then send through a mail service (mail: via).`,
})

const unasked = (address: string, lists: readonly string[]): Finding => ({
  severity: 'info',
  code: 'mail-blocklist-unanswered',
  message: `${lists.join(', ')} can’t be asked about ${address} from here: they refuse large public resolvers.`,
  hint: 'Look there by hand, or give mail.resolver: a resolver of your own.',
})

async function reverseFindings(address: string, domain: string, lookup: Lookup): Promise<readonly Finding[]> {
  const { state, name } = await nameOfAddress(address, lookup)
  if (state === 'good' || (state === 'missing' && !isPublic(address))) return []
  const hint = `In the new host’s control panel set the reverse DNS of ${address} to a name such as mail.${domain}, and add  mail.${domain}  ${address.includes(':') ? 'AAAA' : 'A'}  ${address}.`
  const words = {
    missing: `${address} has no name (PTR record): large receivers refuse mails from it.`,
    unconfirmed: `${address} is named ${name}, and that name doesn’t lead back to it: many receivers distrust such a sender.`,
    generic: `${address} is named ${name}, as machines are that nobody named: many receivers distrust such a sender.`,
    unknown: `The name of ${address} can’t be asked for at present.`,
  }
  return [{ severity: state === 'unknown' ? 'info' : 'warning', code: `mail-reverse-${state}`, message: words[state], hint }]
}

/** SPF, DKIM and DMARC belong together: what one lacks another may carry. */
async function permissionFindings(mail: MailTarget, domain: string, lookup: Lookup): Promise<readonly Finding[]> {
  const [verdicts, policy] = await Promise.all([
    Promise.all(mail.addresses.map(async (address) => ({ address, verdict: await checkSpf(address, mail.from, lookup) }))),
    dmarcPolicy(domain, lookup),
  ])
  const wrong = verdicts.filter(({ verdict }) => verdict.result !== 'pass')
  const signing = await signingFindings(mail, domain, lookup)
  const isSigned = signing.every((finding) => finding.severity === 'info') && mail.dkim !== undefined
  return [...wrong.map(({ address, verdict }) => spfFinding(address, domain, verdict)), ...signing, ...dmarcFindings()]

  function dmarcFindings(): readonly Finding[] {
    if (policy === 'unknown') return []
    if (policy === 'none') return [withoutDmarc(domain)]
    if (policy.policy === 'none' || isSigned || (wrong.length === 0 && verdicts.length > 0)) return []
    return [
      {
        severity: 'warning',
        code: 'mail-dmarc-refuses',
        message: `${policy.domain} asks receivers to ${policy.policy === 'reject' ? 'refuse' : 'put aside'} mails that neither SPF nor DKIM vouches for (${policy.record}), and so far neither vouches for the new host.`,
        hint: 'Mend SPF or DKIM as said above before DNS moves, or every order confirmation is lost.',
      },
    ]
  }
}

const withoutDmarc = (domain: string): Finding => ({
  severity: 'warning',
  code: 'mail-dmarc-missing',
  message: `${domain} has no DMARC record; Google, Yahoo and Microsoft ask for one from whoever sends many mails.`,
  hint: `Add the TXT record  _dmarc.${domain}  "v=DMARC1; p=none; rua=mailto:postmaster@${domain}".`,
})

function spfFinding(address: string, domain: string, { result, record, why }: SpfVerdict): Finding {
  const network = `${address.includes(':') ? 'ip6' : 'ip4'}:${address}`
  const common = { severity: 'warning', code: `mail-spf-${result}` } as const
  if (result === 'temperror') {
    return { ...common, severity: 'info', message: `SPF of ${domain} can’t be looked at at present: ${why}.` }
  }
  if (record === null) {
    const message =
      result === 'none' ? `${domain} has no SPF record: many receivers distrust its mails.` : `SPF of ${domain}: ${why}.`
    return { ...common, message, hint: `There must be exactly one TXT record at ${domain} such as  "v=spf1 ${network} ~all".` }
  }
  if (result === 'permerror') {
    return { ...common, message: `SPF of ${domain} is broken: ${why}.`, hint: `Correct its TXT record: ${record}` }
  }
  return {
    ...common,
    message: `SPF of ${domain} doesn’t allow mails from ${address} (${result}, by "${why}").`,
    hint: `Change its TXT record to  "${withNetwork(record, network)}".`,
  }
}

/** The record with one more network: right after its version, so that nothing before it can refuse. */
const withNetwork = (record: string, network: string): string => record.replace(/^v=spf1\b/i, `v=spf1 ${network}`)
