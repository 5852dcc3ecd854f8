import type { Finding } from '../base/errors.ts'
import { type DkimKey, dkimKey } from '../mail/dkim.ts'
import type { Lookup } from '../mail/lookup.ts'
import type { MailTarget } from './world.ts'

/** Under which control panels, servers and mail services put their keys. */
const USUAL_SELECTORS = [
  'default',
  'dkim',
  'mail',
  's1',
  's2',
  'selector1',
  'selector2',
  'google',
  'k1',
  'k2',
  'k3',
  'pic',
  'mandrill',
]

/** DKIM: each selector that the playbook names; without any, whether one of the usual ones is there. */
export async function signingFindings(mail: MailTarget, domain: string, lookup: Lookup): Promise<readonly Finding[]> {
  if (mail.dkim !== undefined) {
    const keys = await Promise.all(mail.dkim.map((selector) => dkimKey(selector, domain, lookup)))
    return keys.flatMap((key) => keyFinding(key, domain))
  }
  const keys = await Promise.all(USUAL_SELECTORS.map((selector) => dkimKey(selector, domain, lookup)))
  const there = keys.filter((key) => key.state === 'good' || key.state === 'short').map((key) => key.selector)
  if (there.length > 0) {
    return [
      {
        severity: 'info',
        code: 'mail-dkim-found',
        message: `${domain} shows DKIM keys (${there.join(', ')}); whether the new host signs with one of them can’t be seen from here.`,
        hint: `Carry the old host’s private key over, and say so in the playbook: mail: { dkim: [${there.join(', ')}] }.`,
      },
    ]
  }
  return [
    {
      severity: 'warning',
      code: 'mail-dkim-unknown',
      message: `No DKIM key of ${domain} was found under the usual selectors: unsigned mails are often taken for spam.`,
      hint: 'Switch signing on at the new host, add the TXT record that it shows, and name the selector: mail: { dkim: [NAME] }.',
    },
  ]
}

function keyFinding({ selector, state, why }: DkimKey, domain: string): readonly Finding[] {
  if (state === 'good') return []
  const hints = {
    short: 'Make a key of 2048 bits when there is time; receivers still take this one from 1024 bits on.',
    revoked: 'Put the new host’s public key there, or sign with another selector.',
    broken: 'Copy the whole record from the new host: long keys are cut off by some DNS forms, and go in as several texts.',
    missing: `Add the TXT record  ${selector}._domainkey.${domain}  that the new host shows, before DNS moves.`,
    unknown: 'Look again later.',
  }
  return [
    {
      severity: state === 'short' || state === 'unknown' ? 'info' : 'warning',
      code: `mail-dkim-${state}`,
      message: `DKIM: ${why}.`,
      hint: hints[state],
    },
  ]
}
