/** The names by which certificate authorities are allowed in CAA records, by what their certificates call the issuer. */
const AUTHORITIES: readonly (readonly [RegExp, readonly string[]])[] = [
  [/let's encrypt|isrg/i, ['letsencrypt.org']],
  [/google trust/i, ['pki.goog']],
  [/sectigo|comodo|usertrust/i, ['sectigo.com', 'comodoca.com', 'comodo.com', 'usertrust.com', 'trust-provider.com']],
  [/zerossl/i, ['sectigo.com', 'comodoca.com']],
  [/digicert|geotrust|thawte|rapidssl/i, ['digicert.com', 'geotrust.com', 'thawte.com', 'rapidssl.com', 'symantec.com']],
  [/amazon/i, ['amazon.com', 'amazontrust.com', 'awstrust.com', 'amazonaws.com']],
  [/globalsign|alphassl/i, ['globalsign.com']],
  [/godaddy|starfield/i, ['godaddy.com', 'starfieldtech.com']],
  [/buypass/i, ['buypass.com', 'buypass.no']],
  [/ssl\.com|ssl corp/i, ['ssl.com']],
  [/entrust/i, ['entrust.net']],
  [/microsoft/i, ['microsoft.com']],
]

export type CaaVerdict =
  /** No record restricts who may issue. */
  { readonly kind: 'open' } | { readonly kind: 'allowed' | 'forbidden' | 'unclear'; readonly who: readonly string[] }

interface Property {
  readonly tag: string
  readonly value: string
}

/**
 * Whether an authority may issue under the relevant set of CAA records (RFC 8659, 4.2 and 4.3).
 *
 * @param records as a resolver gives them: `0 issue "letsencrypt.org"`
 * @param issuer the organisation that a certificate names as its issuer; `undefined` when there is none to ask about
 * @param isWildcard for a certificate of `*.shop.example`
 */
export function judgeCaa(records: readonly string[], issuer: string | undefined, isWildcard: boolean): CaaVerdict {
  const properties = records.flatMap(readProperty)
  const forWildcards = properties.filter(({ tag }) => tag === 'issuewild')
  const relevant = isWildcard && forWildcards.length > 0 ? forWildcards : properties.filter(({ tag }) => tag === 'issue')
  if (relevant.length === 0) return { kind: 'open' }
  // Parameters follow a semicolon; nothing before it allows nobody.
  const who = [...new Set(relevant.map(({ value }) => (value.split(';')[0] ?? '').trim().toLowerCase()))].filter(
    (name) => name !== '',
  )
  const own = AUTHORITIES.find(([pattern]) => issuer !== undefined && pattern.test(issuer))?.[1]
  if (who.length === 0) return { kind: 'forbidden', who }
  if (own === undefined) return { kind: 'unclear', who }
  return { kind: own.some((name) => who.includes(name)) ? 'allowed' : 'forbidden', who }
}

function readProperty(record: string): readonly Property[] {
  const [, tag = '', value = ''] = /^\d+ ([a-z0-9]+) "?([^"]*)"?$/i.exec(record) ?? []
  return tag === '' ? [] : [{ tag: tag.toLowerCase(), value }]
}
