import { parsePlaybook } from '../../src/playbook/parse.ts'
import { PlaybookError, type Problem } from '../../src/playbook/problems.ts'

/** The playbook that the documentation shows, in what this version knows. */
export const STORY = `name: blanklabel
old:
  files: sftp://site:\${OLD_FILES_PASSWORD}@old.example.com/site
  database: mssql://shop:\${OLD_DB_PASSWORD}@old.example.com/shop
  site: https://203.0.113.10
  connections: 4
new:
  files: sftp://site@new.example.com/var/www/shop
  database: mssql://shop:\${NEW_DB_PASSWORD}@new.example.com/shop
  site: https://198.51.100.20
site: https://shop.example
dns:
  provider: cloudflare
  zone: shop.example
  token: \${CLOUDFLARE_API_TOKEN}
  api: https://api.cloudflare.com/client/v4
  records:
    - { name: shop.example, type: A, to: 198.51.100.20 }
    - { name: www.shop.example, type: CNAME, to: shop.example }
tables:
  Orders:    { headroom: 1500 }
  Customers: { match: [Email] }
  Products:  { add: [UnitsInStock] }
  Sessions:  skip
references:
  - Orders.CustomerID -> Customers.CustomerID
steps:
  - check
  - lower-ttl: { ttl: 60 }
  - [snapshot-files, snapshot-database]
  - [restore-files, restore-database]
  - bump-identities
  - rewrite-config:
      - { file: web.config, replace: { "old-sql.example.com": "new-sql.example.com" } }
  - smoke-test: { paths: ["/", "/checkout"], assets: true }
  - cutover-dns
  - watch-propagation: { resolvers: default, quiet: 30m, every: 30s }
  - reconcile
  - report
`

export const ENV: Readonly<Record<string, string>> = {
  OLD_FILES_PASSWORD: 'files/p@ss:word#1',
  OLD_DB_PASSWORD: 'old-database-password',
  NEW_DB_PASSWORD: 'new-database-password',
  CLOUDFLARE_API_TOKEN: 'token-of-the-zone',
}

/** A playbook with nothing in it that could be wrong, and `extra` after it. */
export const small = (extra = ''): string => `name: shop\nold: {}\nnew: {}\n${extra}`

/** What is wrong with a text; [] when nothing is. */
export function problemsOf(text: string, env: Readonly<Record<string, string>> = ENV, file = 'shop.yml'): readonly Problem[] {
  try {
    parsePlaybook(text, file, env)
    return []
  } catch (error) {
    if (error instanceof PlaybookError) return error.problems
    throw error
  }
}

/** `line:column message` of each problem. */
export const placesOf = (text: string, env?: Readonly<Record<string, string>>): readonly string[] =>
  problemsOf(text, env).map((problem) => `${problem.line}:${problem.column} ${problem.message}`)
