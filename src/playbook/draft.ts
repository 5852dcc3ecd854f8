import { stringify } from 'yaml'

/** One host as a founder named it; passwords stand in it as `${NAME}`. */
export interface DraftHost {
  readonly files?: { readonly url: string; readonly key?: string; readonly fingerprint?: string }
  readonly database?: string
  readonly site?: string
}

export interface DraftDns {
  readonly provider: 'cloudflare' | 'rfc2136' | 'manual'
  readonly zone: string
  /** Nobody said what the zone is, and DNS didn't either. */
  readonly isZoneGuess?: true
  /** For rfc2136: the primary name server, and the TSIG key's name. */
  readonly server?: string
  readonly key?: string
  readonly records: readonly { readonly name: string; readonly type: 'A' | 'AAAA' | 'CNAME'; readonly to: string }[]
}

/** What `migrate init` learnt, before it is a playbook. */
export interface Draft {
  readonly name: string
  readonly site: string
  readonly old: DraftHost
  readonly new: DraftHost
  readonly dns?: DraftDns
  /** Items of `rewrite-config`, each as one line of YAML. */
  readonly rewrites: readonly string[]
  /** What was seen, for people: written at the head as a comment. */
  readonly seen: readonly string[]
}

/** The variables that a draft's passwords are kept in. */
export const VARIABLES = {
  files: (side: 'old' | 'new', scheme: string): string => `${side.toUpperCase()}_${scheme === 'sftp' ? 'SFTP' : 'FTP'}_PASSWORD`,
  database: (side: 'old' | 'new'): string => `${side.toUpperCase()}_DB_PASSWORD`,
  cloudflare: 'CLOUDFLARE_API_TOKEN',
  key: 'DNS_KEY_SECRET',
} as const

/** `${NAME}`, as a playbook writes it. */
export const placeholder = (name: string): string => `\${${name}}`

/**
 * Takes a password that was typed into a URL out of it, for a variable to take its place. `undefined` when it has none, or has a
 * variable there already. In the URL it is percent-encoded (RFC 3986, 2.1); a variable's value is taken as it is.
 */
export function withoutPassword(url: string, variable: string): { readonly url: string; readonly password: string } | undefined {
  const match = /^([a-z][a-z0-9+.-]*:\/\/[^:@/]+):(.+)@([^@]*)$/i.exec(url)
  const [, start, typed, rest] = match ?? []
  if (start === undefined || typed === undefined || rest === undefined || typed.includes('${')) return undefined
  return { url: `${start}:${placeholder(variable)}@${rest}`, password: decoded(typed) }
}

/** A URL with a user and no password is given a variable for it; anything else is left as it is. */
export const withPassword = (url: string, variable: string): string =>
  url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^:@/]+)@/i, (_all, start: string) => `${start}:${placeholder(variable)}@`)

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    if (error instanceof URIError) return text
    throw error
  }
}

const scalar = (value: string): string => stringify(value, { lineWidth: 0 }).trimEnd()

/** The playbook's text: every step written out, so that it can be read and changed. */
export function draftPlaybook(draft: Draft): string {
  const { dns } = draft
  const lines = [
    ...draft.seen.map((line) => `# ${line.replaceAll('\n', ' ')}`),
    ...(draft.seen.length > 0 ? [''] : []),
    `name: ${scalar(draft.name)}`,
    '',
    'old:                                 # where the shop is',
    ...hostLines(draft.old),
    'new:                                 # where it goes',
    ...hostLines(draft.new),
    '',
    `site: ${scalar(draft.site)}          # the name that customers use`,
    ...(dns === undefined ? [] : ['', ...dnsLines(dns)]),
    '',
    '# tables:                            # what differs from the defaults; migrate check proposes what is worth a thought',
    '#   Sessions: skip',
    '#   Customers: { match: [Email] }',
    '',
    ...stepLines(draft),
  ]
  return `${lines.join('\n')}\n`
}

function hostLines({ files, database, site }: DraftHost): readonly string[] {
  const extra = files === undefined ? [] : (['key', 'fingerprint'] as const).filter((name) => files[name] !== undefined)
  const lines = [
    ...(files === undefined || extra.length > 0 ? [] : [`  files: ${scalar(files.url)}`]),
    ...(files === undefined || extra.length === 0
      ? []
      : ['  files:', `    url: ${scalar(files.url)}`, ...extra.map((name) => `    ${name}: ${scalar(files[name] ?? '')}`)]),
    ...(database === undefined ? [] : [`  database: ${scalar(database)}`]),
    ...(site === undefined ? [] : [`  site: ${scalar(site)}   # where this host answers, without DNS`]),
  ]
  return lines.length === 0 ? ['  {}'] : lines
}

function dnsLines(dns: DraftDns): readonly string[] {
  const access = {
    cloudflare: [`  token: ${placeholder(VARIABLES.cloudflare)}`],
    rfc2136: [
      `  server: ${scalar(dns.server ?? '')}`,
      `  key: { name: ${JSON.stringify(dns.key ?? '')}, secret: ${JSON.stringify(placeholder(VARIABLES.key))} }`,
    ],
    manual: [],
  }[dns.provider]
  return [
    'dns:',
    `  provider: ${dns.provider}`,
    `  zone: ${scalar(dns.zone)}${dns.isZoneGuess === true ? '   # a guess, DNS does not say it: check it' : ''}`,
    ...access,
    '  records:                           # what moves, and nothing else',
    ...dns.records.map(
      ({ name, type, to }) => `    - { name: ${JSON.stringify(name)}, type: ${type}, to: ${JSON.stringify(to)} }`,
    ),
  ]
}

function stepLines(draft: Draft): readonly string[] {
  const { dns, old, rewrites } = draft
  const [files, database] = [old.files !== undefined, old.database !== undefined]
  const pair = (a: string, b: string): readonly string[] =>
    files && database ? [`  - [${a}, ${b}]`] : files ? [`  - ${a}`] : database ? [`  - ${b}`] : []
  return [
    'steps:                               # a nested list runs side by side',
    '  - check',
    ...(dns === undefined ? [] : ['  - lower-ttl: { ttl: 60 }']),
    ...pair('snapshot-files', 'snapshot-database'),
    ...pair('restore-files', 'restore-database'),
    ...(database ? ['  - bump-identities'] : []),
    ...(rewrites.length === 0 ? [] : ['  - rewrite-config:', ...rewrites.map((item) => `      - ${item}`)]),
    '  - smoke-test: { paths: ["/"], assets: true }',
    ...(files && dns !== undefined ? ['  - carry-files'] : []),
    ...(dns === undefined ? [] : ['  - cutover-dns', '  - [watch-propagation: { quiet: 30m, every: 30s }, guard]']),
    ...pair('carry-files', 'reconcile'),
    '  - report',
  ]
}
