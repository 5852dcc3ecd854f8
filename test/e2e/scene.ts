import { access, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.ts'
import { runSql } from '../servers/postgres.ts'
import type { Sshd } from '../servers/sshd.ts'
import { postgresStory } from './engine-postgres.ts'
import { type MigrateProcess, type MigrateRun, startMigrate, story } from './migrate-process.ts'
import { type PlaybookChange, type StoryHosts, startStory } from './story-hosts.ts'

/** The story's two hosts, each database and each SFTP server behind a line that can be cut, led elsewhere or switched off. */
export interface Scene {
  readonly hosts: StoryHosts
  readonly lines: Readonly<Record<LineName, FaultProxy>>
  /** A playbook of its own, and so a run of its own. */
  trial(name: string, change: PlaybookChange): Promise<Trial>
  /** Runs SQL on a host's database as its administrator. */
  administer(side: 'old' | 'new', sql: string): ReturnType<typeof runSql>
  /** The new host as it was in the beginning: empty. DNS too. */
  clear(): Promise<void>
  stop(): Promise<void>
}

export type LineName = 'oldDatabase' | 'newDatabase' | 'oldFiles' | 'newFiles'

export interface Trial {
  /** Where the playbook stands; the run's state is below it. */
  readonly folder: string
  /** Changes the playbook, or puts it back as it was when nothing is given. */
  rewrite(change?: (text: string) => string): Promise<void>
  /** `env` for what is otherwise than it should be this time. */
  start(env: Readonly<Record<string, string>>, command: string, ...args: readonly string[]): MigrateProcess
  run(env?: Readonly<Record<string, string>>): Promise<MigrateRun>
}

export async function startScene(): Promise<Scene> {
  const hosts = await startStory(postgresStory)
  const lines = {
    oldDatabase: await startFaultProxy(endOf(hosts.old.url)),
    newDatabase: await startFaultProxy(endOf(hosts.new.url)),
    oldFiles: await startFaultProxy({ host: hosts.ssh.old.address, port: hosts.ssh.old.port }),
    newFiles: await startFaultProxy({ host: hosts.ssh.new.address, port: hosts.ssh.new.port }),
  }
  const usual: Readonly<Record<string, string>> = {
    ...hosts.env,
    OLD_DB: through(hosts.old.url, lines.oldDatabase),
    NEW_DB: through(hosts.new.url, lines.newDatabase),
  }
  const records = hosts.zone.records()
  const administer: Scene['administer'] = (side, sql) => runSql(hosts[side].superuserUrl ?? '', sql)
  return {
    hosts,
    lines,
    administer,
    trial: (name, change) => {
      const text = reachedThrough(hosts.text(change), hosts, lines)
      return makeTrial(join(dirname(hosts.playbook), name), text, usual)
    },
    clear: async () => {
      await administer('new', 'DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION shop')
      for (const name of await readdir(hosts.newSite)) await rm(join(hosts.newSite, name), { recursive: true })
      await hosts.zone.replace(records)
    },
    stop: async () => {
      await hosts.stop()
      await Promise.all(Object.values(lines).map((line) => line.close()))
    },
  }
}

export const endOf = (url: string): { readonly host: string; readonly port: number } => {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}

function through(url: string, line: FaultProxy): string {
  const changed = new URL(url)
  changed.host = `${line.host}:${line.port}`
  return changed.href
}

const reachedThrough = (text: string, hosts: StoryHosts, lines: Scene['lines']): string =>
  [[hosts.ssh.old, lines.oldFiles] as const, [hosts.ssh.new, lines.newFiles] as const].reduce(
    (changed, [ssh, line]: readonly [Sshd, FaultProxy]) =>
      changed.replace(`${ssh.address}:${ssh.port}/`, `${line.host}:${line.port}/`),
    text,
  )

async function makeTrial(folder: string, text: string, usual: Readonly<Record<string, string>>): Promise<Trial> {
  await mkdir(folder)
  const playbook = join(folder, 'story.yml')
  const rewrite: Trial['rewrite'] = (change = (same) => same) => writeFile(playbook, change(text))
  await rewrite()
  const start: Trial['start'] = (env, command, ...args) => startMigrate([command, playbook, ...args], { ...usual, ...env })
  return { folder, rewrite, start, run: (env = {}) => start(env, 'run', '--yes').ended }
}

/** What a failure must tell. */
export interface Told {
  readonly code: string
  readonly says: RegExp
  readonly hints: RegExp
  readonly exit?: number
  /** Refused before the run was touched: its status tells nothing of it. Every exit 2 is. */
  readonly refused?: boolean
}

/** The run ended with its own message and hint, the status says the same, and no secret stands anywhere. */
export async function expectTold(trial: Trial, run: MigrateRun, told: Told, secrets: readonly string[] = []): Promise<void> {
  const exit = told.exit ?? 1
  expect(run.exit, story(run)).toBe(exit)
  // A step beside it that was stopped for it has nothing to tell.
  const failed = run.events.findLast((event) => event.event === 'failed' && event.code !== 'stopped')
  expect(failed?.code, story(run)).toBe(told.code)
  expect(failed?.message).toMatch(told.says)
  expect(failed?.hint).toMatch(told.hints)
  expect(run.events.at(-1)).toMatchObject({ event: 'finished', outcome: 'failed', exit })
  const status = await trial.start({}, 'status').ended
  expect(status.exit, story(status)).toBe(0)
  if (told.refused !== true && exit !== 2) expect(status.stdout).toContain(JSON.stringify(failed?.message).slice(1, -1))
  await expectNoSecrets(trial, [run, status], secrets)
}

/** Resumed, not begun again, and brought to its end. */
export async function expectResumed(run: MigrateRun): Promise<void> {
  expect(run.exit, story(run)).toBe(0)
  expect(run.events.find((event) => event.event === 'started')).toMatchObject({ step: null, resumed: true })
}

const KNOWN = [
  'p@ss/word',
  'token-that-may-edit-0123456789',
  'token-that-may-only-read-01234',
  'token-of-another-zone-0123456789',
]

async function expectNoSecrets(trial: Trial, runs: readonly MigrateRun[], more: readonly string[]): Promise<void> {
  const journal = join(trial.folder, '.migrate', 'story', 'journal.jsonl')
  const written = await access(journal).then(
    () => readFile(journal, 'utf8'),
    () => '',
  )
  const texts = [...runs.flatMap((run) => [run.stdout, run.stderr]), written]
  for (const secret of [...KNOWN, ...more]) {
    for (const spelled of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]) {
      for (const text of texts) expect(text.includes(spelled), `a secret in: ${text.slice(0, 2000)}`).toBe(false)
    }
  }
}
