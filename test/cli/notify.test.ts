import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startWeb, type WebServer } from '../servers/web.ts'
import { eventsOf, migrate } from './migrate.ts'

const TOKEN = 'T0001-B0002-abcdefghijklmnop'

describe('the command with notify: in its playbook', () => {
  let folder: string
  let web: WebServer
  let status: number
  let posts: { readonly path: string; readonly title: string; readonly text: string }[]

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'migrate-notify-'))
    await mkdir(join(folder, 'old'))
    await mkdir(join(folder, 'new'))
    await writeFile(join(folder, 'old', 'index.html'), 'T-shirts')
    posts = []
    status = 200
    web = await startWeb((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      request.on('end', () => {
        posts.push({ path: request.url ?? '', ...JSON.parse(body) })
        response.writeHead(status).end()
      })
    })
    await writeFile(
      join(folder, 'shop.yml'),
      [
        'name: shop',
        'old: { files: old }',
        'new: { files: new }',
        'notify:',
        `  - { webhook: "${web.url.origin}/hook/\${HOOK}" }`,
        '  - { name: log, command: "cat >>told.txt", on: [finished] }',
        'steps:',
        '  - snapshot-files',
        '  - notify: { text: "The files are saved.", to: log }',
        '  - pause: Go on?',
      ].join('\n'),
    )
  })
  afterEach(async () => {
    await web.close()
    await rm(folder, { recursive: true, force: true })
  })
  const run = (...args: readonly string[]) => migrate([...args, '--json'], { HOOK: TOKEN })

  it('tells people what they need to know before it ends, and what was told not again when it goes on', async () => {
    const playbook = join(folder, 'shop.yml')
    expect((await run('run', playbook)).exit).toBe(3)
    expect(posts.map(({ title, text }) => [title, text.split('\n')[0]])).toEqual([['shop: waits for you', 'Go on?']])
    expect(posts[0]?.path).toBe(`/hook/${TOKEN}`)
    expect(await readFile(join(folder, 'told.txt'), 'utf8')).toBe('The files are saved.\n')

    expect((await run('run', playbook)).exit).toBe(3)
    expect(posts).toHaveLength(1)

    expect((await run('run', playbook, '--yes')).exit).toBe(0)
    expect(posts.map(({ title }) => title)).toEqual(['shop: waits for you', 'shop: done'])
    expect(await readFile(join(folder, 'told.txt'), 'utf8')).toMatch(/^The files are saved\.\nThe run \S+ is done\.\n$/)
  })

  it('names commands in a message as they can be typed, and control characters of a text by their codes', async () => {
    const playbook = join(folder, 'asks.yml')
    const text = await readFile(join(folder, 'shop.yml'), 'utf8')
    await writeFile(playbook, text.replace('Go on?', String.raw`"Look first: \e[1m migrate status PLAYBOOK"`))
    const kept = join(folder, 'kept here')
    expect((await run('run', playbook, '--state', kept)).exit).toBe(3)
    expect(posts[0]?.text).toContain(String.raw`Look first: \x1B[1m migrate status ${playbook} --state '${kept}'`)
    expect(await readFile(join(kept, 'journal.jsonl'), 'utf8')).toContain('migrate status PLAYBOOK')
  })

  it('says in check and in a dry run who is told of what, and sends nothing', async () => {
    for (const args of [['check'], ['run', '--dry-run']]) {
      const { exit, stdout } = await run(...args, join(folder, 'shop.yml'))
      expect(exit).toBe(0)
      expect(eventsOf(stdout).filter(({ code }) => code === 'notice-hook')).toMatchObject([
        { message: expect.stringContaining(`webhook (webhook at ${web.url.host}) is told of the usual things`) },
        { message: 'log (command cat >>told.txt) is told of finished.' },
      ])
    }
    expect(posts).toEqual([])
  })

  it('goes on when nobody can be told: a warning of the run and its report, with no secret in it', async () => {
    status = 404
    const { exit, stdout, stderr } = await run('run', join(folder, 'shop.yml'), '--yes')
    const report = await migrate(['report', join(folder, 'shop.yml')])
    const journal = await readFile(join(folder, '.migrate', 'shop', 'journal.jsonl'), 'utf8')

    expect(exit).toBe(0)
    const events = eventsOf(stdout)
    expect(events.at(-1)).toMatchObject({ event: 'finished', outcome: 'ok' })
    expect(events).toContainEqual(
      expect.objectContaining({
        event: 'finding',
        severity: 'warning',
        code: 'notice-refused',
        message: expect.stringContaining('404'),
      }),
    )
    expect(report.stdout).toContain('A message could not be delivered by webhook')
    expect(stdout + stderr + report.stdout + journal).not.toContain(TOKEN)
  })
})
