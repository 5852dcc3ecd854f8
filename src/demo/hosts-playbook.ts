import type { DemoHost, DemoHosts } from './hosts.ts'
import { type DemoInternet, LOWERED_TTL_SECONDS } from './hosts-internet.ts'
import { CONFIG_FILE } from './shop-site.ts'

/** Secrets go to the playbook as they should: through the environment. */
export interface DemoPlaybook {
  readonly text: string
  readonly environment: Readonly<Record<string, string>>
}

/** The playbook of the demo's move: all the steps, in the default order, with short times. */
export function demoPlaybook(hosts: DemoHosts, internet: DemoInternet): DemoPlaybook {
  const servers = (host: DemoHost): string => new URL(host.databaseUrl).host
  const text = `# Written by \`migrate demo\`. Both hosts are played on this machine.
name: demo

old:
${host(hosts.old, hosts.shopPort, 'OLD')}
new:
${host(hosts.new, hosts.shopPort, 'NEW')}

site: ${siteOf(hosts, internet).origin}

dns:
  provider: cloudflare
  zone: ${internet.zone}
  token: \${CLOUDFLARE_API_TOKEN}
  api: ${internet.api}
  nameservers: ["${internet.nameserver}"]
  records:
    - { name: ${internet.zone}, type: A, to: ${hosts.new.address} }

steps:
  - check
  - lower-ttl: { ttl: ${LOWERED_TTL_SECONDS} }
  - [snapshot-files, snapshot-database]
  - [restore-files, restore-database]
  - bump-identities: { window: 1h }
  - rewrite-config:
      - { file: ${CONFIG_FILE}, replace: { "${servers(hosts.old)}": "${servers(hosts.new)}" } }
  - smoke-test: { paths: ["/", "/product/TEE-001", "/checkout"], assets: true }
  - cutover-dns
  - watch-propagation: { resolvers: [${internet.resolverEndpoints.map((each) => `"${each}"`).join(', ')}], quiet: 5s, every: 1s }
  - reconcile
  - report
`
  return {
    text,
    environment: {
      OLD_FILES_PASSWORD: hosts.old.filesPassword,
      OLD_DB_PASSWORD: new URL(hosts.old.databaseUrl).password,
      NEW_FILES_PASSWORD: hosts.new.filesPassword,
      NEW_DB_PASSWORD: new URL(hosts.new.databaseUrl).password,
      CLOUDFLARE_API_TOKEN: internet.token,
    },
  }
}

/** The name that customers use. */
export const siteOf = (hosts: DemoHosts, internet: DemoInternet): URL => new URL(`http://${internet.zone}:${hosts.shopPort}`)

function host({ address, filesUrl, fingerprint, databaseUrl }: DemoHost, shopPort: number, prefix: string): string {
  const database = new URL(databaseUrl)
  database.password = ''
  return `  files: { url: "${filesUrl}", password: "\${${prefix}_FILES_PASSWORD}", fingerprint: "${fingerprint}" }
  database: { url: "${database.href}", password: "\${${prefix}_DB_PASSWORD}" }
  site: http://${address}:${shopPort}`
}
