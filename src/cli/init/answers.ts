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

/** The last two labels: a guess at the zone where nobody says it. */
export const apex = (site: URL): string => site.hostname.split('.').slice(-2).join('.')
