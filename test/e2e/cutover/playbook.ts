import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from './host.ts'
import { type CutoverScene, NEW_ADDRESS, ZONE } from './hosts.ts'

/** Seconds. */
export const LOWERED_TTL_SECONDS = 2
export const QUIET_SECONDS = 6

/** The playbook that a founder would write for these hosts (playbooks/nameserver.yml), with short times; its path and variables. */
export function writePlaybook(scene: CutoverScene): { readonly path: string; readonly env: Readonly<Record<string, string>> } {
  const { old, new: next, bind, pebble, resolvers, folder, port } = scene
  const path = join(folder, 'cutover.yml')
  const { chain, key, pidFile } = next.certificate
  const testOrder = {
    email: 'test@shop.example',
    name: 'Test',
    reference: crypto.randomUUID(),
    items: [{ sku: 'TEE-001', quantity: 1 }],
  }
  writeFileSync(
    path,
    `
name: cutover
old:
${hostText(old, port, 'OLD')}
new:
${hostText(next, port, 'NEW')}
site: https://${ZONE}:${port}
dns:
  provider: rfc2136
  zone: ${ZONE}
  server: ${bind.endpoint}
  key: { name: ${bind.key.name}, algorithm: ${bind.key.algorithm}, secret: "\${TSIG_KEY}" }
  nameservers: [${bind.endpoint}]
  records:
    - { name: ${ZONE}, type: A, to: ${NEW_ADDRESS} }
    - { name: www.${ZONE}, type: CNAME, to: ${ZONE} }
    - { name: "*.${ZONE}", type: A, to: ${NEW_ADDRESS} }
tables:
  customers: { match: [email] }
steps:
  - check
  - lower-ttl: { ttl: ${LOWERED_TTL_SECONDS} }
  - [snapshot-files, snapshot-database]
  - [restore-files, restore-database]
  - bump-identities: { window: 1h }
  - rewrite-config:
      - { file: config/shop.json, json: { database: "\${NEW_DATABASE_URL}" } }
  - certificate:
      terms: agreed
      directory: ${pebble.directory}
      ca: ${pebble.ca}
      install: { chain: ${chain}, key: ${key}, reload: "kill -HUP $(cat ${pidFile})" }
  - smoke-test: { paths: ["/", "/product/TEE-001", "/checkout"], assets: true }
  - http:
      path: /checkout
      on: new
      method: POST
      headers: { content-type: application/json }
      body: '${JSON.stringify(testOrder)}'
      expect: { status: 201, contains: TEE-001 }
  - carry-files
  - cutover-dns
  - watch-propagation:
      resolvers: [${resolvers.map(({ endpoint }) => `"${endpoint}"`).join(', ')}]
      quiet: ${QUIET_SECONDS}s
      every: 500ms
  - close-old: { with: database, grace: 2s }
  - [carry-files, reconcile]
  - report
`,
  )
  return {
    path,
    env: {
      OLD_DATABASE_URL: old.databaseUrl,
      NEW_DATABASE_URL: next.databaseUrl,
      TSIG_KEY: bind.key.secret.reveal(),
      NODE_EXTRA_CA_CERTS: scene.ca,
    },
  }
}

export const hostText = ({ address, site, log, ssh }: Host, port: number, prefix: string): string => {
  const host = address.includes(':') ? `[${address}]` : address
  return `  files: { url: "sftp://${ssh.user}@${host}:${ssh.port}${site}", key: ${ssh.key}, fingerprint: "${ssh.fingerprint}" }
  database: \${${prefix}_DATABASE_URL}
  site: https://${host}:${port}
  logs: ${log}`
}
