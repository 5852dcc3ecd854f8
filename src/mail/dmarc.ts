import { tagsOf } from './dkim.ts'
import type { Lookup } from './lookup.ts'

export interface DmarcPolicy {
  /** The domain whose record holds; above the sender's when that has none of its own. */
  readonly domain: string
  readonly policy: 'none' | 'quarantine' | 'reject'
  readonly record: string
}

/** At most so many names are asked, from the sender's domain upwards (the tree walk that replaced a list of public suffixes). */
const MOST_STEPS = 5

/**
 * The DMARC policy for mails from `domain`: its own record, else that of the nearest domain above (RFC 7489, 6.6.3, walked label by
 * label). `none` when no one has any; `unknown` when DNS gave no answer.
 */
export async function dmarcPolicy(domain: string, lookup: Lookup): Promise<DmarcPolicy | 'none' | 'unknown'> {
  const labels = domain.split('.')
  for (let step = 0; step < MOST_STEPS && labels.length - step >= 2; step += 1) {
    const name = labels.slice(step).join('.')
    const { state, values } = await lookup(`_dmarc.${name}`, 'TXT')
    if (state === 'unknown') return 'unknown'
    const records = values.filter((text) => /^v=DMARC1\s*(;|$)/.test(text))
    // Several records count as none (RFC 7489, 6.6.3, step 5).
    const record = records.length === 1 ? records[0] : undefined
    if (record === undefined) continue
    const tags = tagsOf(record)
    const policy = (step > 0 ? tags.get('sp') : undefined) ?? tags.get('p')
    return { domain: name, policy: policy === 'reject' || policy === 'quarantine' ? policy : 'none', record }
  }
  return 'none'
}
