import { readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { type Ended, migrate } from '../cli/migrate.ts'
import { postgresStory } from './engine-postgres.ts'
import { NEW_ADDRESS, OLD_ADDRESS, type StoryHosts, startStory, storyMissing, ZONE } from './story-hosts.ts'

const STORY = fileURLToPath(new URL('../../playbooks/story.yml', import.meta.url))

/** The variables of playbooks/story.yml for the hosts of a test, taken from the playbook that suits them. */
async function variablesOf(hosts: StoryHosts): Promise<Readonly<Record<string, string>>> {
  const filled = hosts.text().replaceAll(/\$\{(\w+)\}/g, (_, name: string) => hosts.env[name] ?? '')
  const playbook = parse(filled)
  const database = (text: string): readonly [string, string] => {
    const url = new URL(text)
    const password = decodeURIComponent(url.password)
    url.password = ''
    return [url.href, password]
  }
  const [oldUrl, oldPassword] = database(hosts.old.url)
  const [newUrl, newPassword] = database(hosts.new.url)
  return {
    OLD_FILES_URL: playbook.old.files.url,
    OLD_DATABASE_URL: oldUrl,
    OLD_DATABASE_PASSWORD: oldPassword,
    OLD_SITE: playbook.old.site,
    NEW_FILES_URL: playbook.new.files.url,
    NEW_DATABASE_URL: newUrl,
    NEW_DATABASE_PASSWORD: newPassword,
    NEW_SITE: playbook.new.site,
    NEW_ADDRESS,
    OLD_SQL_HOST: 'old-sql.example.com',
    NEW_SQL_HOST: 'new-sql.example.com',
    SHOP_SITE: playbook.site,
    SHOP_ZONE: ZONE,
    CLOUDFLARE_API: playbook.dns.api,
    CLOUDFLARE_API_TOKEN: hosts.env.DNS_TOKEN ?? '',
  }
}

/** playbooks/story.yml as it stands but for what its hosts' servers ask: keys instead of passwords, servers on ports of their own. */
async function pointedAt(hosts: StoryHosts): Promise<string> {
  const key = (ssh: StoryHosts['ssh']['old']): string => `key: ${ssh.key}, fingerprint: "${ssh.fingerprint}"`
  const nameserver = parse(hosts.text()).dns.nameservers[0]
  const text = await readFile(STORY, 'utf8')
  return text
    .replace(`password: "\${OLD_FILES_PASSWORD}"`, key(hosts.ssh.old))
    .replace(`password: "\${NEW_FILES_PASSWORD}"`, key(hosts.ssh.new))
    .replace('  records:', `  nameservers: [${nameserver}]\n  records:`)
    .replace('resolvers: default', `resolvers: ["${hosts.resolver.endpoint}"]`)
    .replace('ttl: 60', 'ttl: 2s')
}

describe.skipIf(storyMissing !== null)(
  `playbooks/story.yml as a plan for real hosts${storyMissing === null ? '' : ` (skipped: ${storyMissing})`}`,
  () => {
    let hosts: StoryHosts
    let plan: Ended
    beforeAll(async () => {
      hosts = await startStory(postgresStory)
      const path = join(dirname(hosts.playbook), 'blanklabel.yml')
      await writeFile(path, await pointedAt(hosts))
      plan = await migrate(['run', path, '--dry-run'], await variablesOf(hosts))
    })
    afterAll(() => hosts?.stop())

    it('can be made, writes nothing, and says so', async () => {
      expect(plan.exit, plan.stdout + plan.stderr).toBe(0)
      expect(plan.stdout).toMatch(/^Plan for blanklabel\. Nothing is changed by showing it\.\n/)
      expect(await readdir(hosts.newSite)).toEqual([])
      expect(await hosts.new.tables()).toEqual([])
      expect(hosts.zone.records().find((record) => record.name === ZONE)?.content).toBe(OLD_ADDRESS)
      expect(await readdir(dirname(hosts.playbook))).not.toContain('.migrate')
    })

    it('tells sizes, and the time that copying may take', () => {
      const { stdout } = plan
      expect(stdout).toMatch(/fetch 44 files, [\d.]+ KiB from sftp:\/\/.* \((about .*|less than a second), assuming 10\.0 MiB\/s/)
      expect(stdout).toMatch(/save 5 tables, about [\d,]+ rows, [\d.]+ KiB over 4 connections \((about .*|less than a second), /)
      expect(stdout).toMatch(/public\.Orders +300 rows +[\d.]+ KiB\n/)
      expect(stdout).toMatch(/upload about 44 files, [\d.]+ KiB \(/)
      expect(stdout).toMatch(/load about [\d,]+ rows, [\d.]+ KiB, into 5 tables over \d connections \(/)
    })

    it('shows the SQL of what is created', () => {
      expect(plan.stdout).toContain('• create table public.Orders\n')
      expect(plan.stdout).toContain('"Total" numeric(19,4) NOT NULL')
      expect(plan.stdout).toContain('CREATE TRIGGER "OrderPlaced"')
    })

    it('tells of every identity and sequence how far it is raised, and why', () => {
      const raised = (name: string): string =>
        new RegExp(`• public\\.${name}: old is at [\\d,]+; new starts beyond [\\d,]+ \\((.*)\\)`).exec(plan.stdout)?.[1] ?? ''
      expect(raised('Orders\\.OrderID')).toContain('headroom 1,500: given in the playbook')
      expect(raised('OrderItems\\.OrderItemID')).toContain('in step with the number given for public.Orders.OrderID')
      for (const name of ['Customers\\.CustomerID', 'OrderLog\\.LogID', 'Products\\.ProductID'])
        expect(raised(name)).toMatch(/^headroom [\d,]+: ./)
    })

    it('shows every line of config that would be another', () => {
      expect(plan.stdout).toContain('change web.config on the new host')
      expect(plan.stdout).toContain('-<connection server="old-sql.example.com" database="shop" />')
      expect(plan.stdout).toContain('+<connection server="new-sql.example.com" database="shop" />')
    })

    it('shows the DNS records before and after, and where customers move', () => {
      const [, cutover = ''] = plan.stdout.split('(cutover-dns)\n')
      expect(cutover).toMatch(/^ +customers move to the new host here\n/)
      expect(cutover).toMatch(new RegExp(`A ${ZONE} ${OLD_ADDRESS} ttl=\\d+ → ${NEW_ADDRESS} ttl=\\d+`))
    })

    it('says what can’t be taken back, how to go back, and how to begin', () => {
      const [, end = ''] = plan.stdout.split('\nIn short\n')
      expect(plan.stdout).toMatch(/\(reconcile\)\n +what this does stays/)
      expect(end).toMatch(/The way back, at any time: migrate rollback .*blanklabel\.yml \(what these do stays: reconcile\)\n/)
      // The shop's log belongs to its orders though nothing declares it.
      expect(plan.stdout).toMatch(/OrderLog.OrderID looks like Orders.OrderID \(300 of 300/)
      expect(end).toMatch(/no problems, 1 warning .* It can be run: migrate run .*blanklabel\.yml\n$/)
    })
  },
)
