import { MigrateError } from '../../base/errors.ts'

/** An answer that can't be meant. Ends as `usage`. */
export const wrong = (message: string, hint: string | undefined): MigrateError =>
  new MigrateError('answer-invalid', message, { ending: 'usage', ...(hint === undefined ? {} : { hint }) })

/** A web address as people type it: `shop.example` is https. `undefined` for anything else. */
export function siteFrom(text: string): URL | undefined {
  const whole = text === '' || text.includes('://') ? text : `https://${text}`
  if (!/^https?:\/\//i.test(whole) || !URL.canParse(whole)) return undefined
  const url = new URL(whole)
  return url.username === '' && url.password === '' ? url : undefined
}

/** `www.blank-label.shop.example` → `blank-label`. */
export const nameFrom = (site: URL): string =>
  site.hostname
    .replace(/^www\./, '')
    .split('.')[0]
    ?.replaceAll(/[^A-Za-z0-9-]/g, '')
    .replace(/^-+/, '') || 'shop'

/** What countries' registries sell names below: `shop.co.uk`, not `co.uk`. */
const REGISTRIES = /^(ac|co|com|edu|go|gob|gov|ltd|me|ne|net|nom|or|org|plc|web)\.[a-z]{2}$/

/** The last two labels, or three below such a one: a guess at the zone where nobody says it. */
export function apex(site: URL): string {
  const labels = site.hostname.split('.')
  return labels.slice(REGISTRIES.test(labels.slice(-2).join('.')) ? -3 : -2).join('.')
}
