import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventsOf, migrate } from './migrate.ts'

let folder: string
let playbook: string
let broken: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'migrate-cli-'))
  playbook = join(folder, 'shop.yml')
  broken = join(folder, 'broken.yml')
  await mkdir(join(folder, 'old'))
  await mkdir(join(folder, 'new'))
  await writeFile(join(folder, 'old', 'index.html'), 'T-shirts')
  // A shop that is only files, on two folders of this machine: all that a command does can be watched without a server.
  await writeFile(
    playbook,
    'name: shop\nold: { files: old }\nnew: { files: new }\nsteps:\n  - snapshot-files\n  - restore-files\n  - pause: Go on?\n  - run: { on: here, command: "true" }\n',
  )
  await writeFile(broken, 'name: shop\nold: {}\nnew: {}\ntabels: {}\n')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('migrate', () => {
  it('says which version it is', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
    expect(await migrate(['--version'])).toEqual({ exit: 0, stdout: `${version}\n`, stderr: '' })
  })

  it('shows its commands, with an example', async () => {
    const { exit, stdout } = await migrate(['--help'])
    expect(exit).toBe(0)
    for (const command of ['init', 'check', 'run', 'rehearse', 'watch', 'reconcile', 'rollback', 'status', 'report', 'demo']) {
      expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'))
    }
    expect(stdout).toContain('$ migrate run shop.yml --dry-run')
  })

  it.each([
    ['no command', []],
    ['an unknown command', ['rnu', 'shop.yml']],
    ['an unknown flag', ['run', 'shop.yml', '--dryrun']],
    ['no playbook', ['run']],
    ['two playbooks', ['run', 'a.yml', 'b.yml']],
    ['a playbook that is not there', ['run', '/nowhere/shop.yml']],
  ])('ends as wrong usage (2) with %s', async (_what, args) => {
    const { exit, stdout, stderr } = await migrate(args)
    expect([exit, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/\n→ \S/)
  })

  it('spells out control characters of a name in what it says at the end: they would move the cursor', async () => {
    const { stderr } = await migrate(['check', '/nowhere/\u001b[2Jshop.yml'])
    expect(stderr).toContain(String.raw`/nowhere/\x1B[2Jshop.yml`)
    expect(stderr).not.toContain('\u001b')
  })

  it('tells wrong usage as events too, with finished as the last', async () => {
    const { exit, stdout } = await migrate(['run', 'shop.yml', '--bogus', '--json'])
    expect(exit).toBe(2)
    expect(eventsOf(stdout).map((event) => event.event)).toEqual(['failed', 'finished'])
    expect(eventsOf(stdout).at(-1)).toMatchObject({ outcome: 'failed', exit: 2, step: null })
  })
})

describe('a playbook with a mistake', () => {
  it.each(['check', 'run', 'watch', 'reconcile', 'rollback'])(
    'ends %s with 2, naming file, line and column, nothing touched',
    async (command) => {
      const { exit, stderr } = await migrate([command, broken])
      expect(exit).toBe(2)
      expect(stderr).toContain(`${broken}:4:1: A playbook has no key "tabels".`)
      expect(stderr).toContain('Did you mean "tables"?')
      expect(existsSync(join(folder, '.migrate'))).toBe(false)
    },
  )

  it('has its mistakes as data with --json', async () => {
    const { stdout } = await migrate(['check', broken, '--json'])
    expect(eventsOf(stdout)[0]).toMatchObject({ event: 'failed', code: 'playbook-invalid', problems: [{ line: 4, column: 1 }] })
  })
})

describe('before any run', () => {
  it('status says so and how to begin', async () => {
    const { exit, stdout } = await migrate(['status', playbook])
    expect(exit).toBe(0)
    expect(stdout).toBe(`No run of shop yet. Begin with:  migrate run ${playbook}\n`)
  })

  it('status works without the variables that the playbook wants', async () => {
    const path = join(folder, 'variables.yml')
    await writeFile(path, `name: shop\nold: { files: "\${NOT_SET}" }\nnew: {}\n`)
    expect((await migrate(['status', path])).exit).toBe(0)
  })

  it('report ends with 2', async () => {
    const { exit, stderr } = await migrate(['report', playbook])
    expect(exit).toBe(2)
    expect(stderr).toContain('There is no run of shop yet')
  })

  it('rollback has nothing to do', async () => {
    const { exit, stdout } = await migrate(['rollback', playbook])
    expect(exit).toBe(0)
    expect(stdout).toContain('Nothing to take back')
  })

  it('an unknown step is answered with the nearest', async () => {
    const { exit, stdout } = await migrate(['run', playbook, '--from', 'restore-fils', '--json'])
    expect(exit).toBe(2)
    expect(eventsOf(stdout)).toContainEqual(
      expect.objectContaining({ event: 'failed', code: 'step-unknown', hint: expect.stringContaining('restore-files') }),
    )
    expect(eventsOf(stdout).at(-1)).toMatchObject({ event: 'finished', exit: 2 })
  })
})

describe('a dry run', () => {
  it('is a plan to be read, and writes nothing', async () => {
    const { exit, stdout } = await migrate(['run', playbook, '--dry-run'])
    expect(stdout).toMatch(/^Plan for shop\. Nothing is changed/)
    expect(stdout).toMatch(/^ 1\. .*\(snapshot-files\)$/m)
    expect(stdout).toMatch(/^ 4\. .*\(run\)\n +what this does stays/m)
    expect(stdout).toMatch(/4 steps, \d+ changes; no problems/)
    expect(exit).toBe(0)
    expect(existsSync(join(folder, '.migrate'))).toBe(false)
    expect(await readdir(join(folder, 'new'))).toEqual([])
  })
})

describe('a run without a terminal', () => {
  it('copies, then waits for a person with 3, goes on with --yes, and can be taken back', async () => {
    // when it comes to the pause
    const first = await migrate(['run', playbook, '--json'])
    // then it ends as waiting, and says so in the last line
    const events = eventsOf(first.stdout)
    expect(events.at(-1)).toMatchObject({ event: 'finished', outcome: 'waiting', exit: 3 })
    expect(events.filter((event) => event.event === 'finished')).toHaveLength(1)
    expect(first.exit).toBe(3)
    for (const event of events) {
      expect(event).toMatchObject({
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        run: expect.any(String),
        event: expect.any(String),
      })
      expect(event).toHaveProperty('step')
    }
    expect(await readFile(join(folder, 'new', 'index.html'), 'utf8')).toBe('T-shirts')

    // and its status tells where it stands
    const status = await migrate(['status', playbook])
    expect(status.stdout).toContain('waits for a person')
    expect(status.stdout).toContain('Next: Wait for a person: Go on?')

    // when it is run again with the answer, in plain lines
    const second = await migrate(['run', playbook, '--yes'])
    expect(second.exit).toBe(0)
    expect(second.stdout).toMatch(/^\d\d:\d\d:\d\d {2}\s+Resuming shop/)
    expect(second.stdout).toMatch(/ Done \(/)

    // then there is a report
    const report = await migrate(['report', playbook])
    expect([report.exit, report.stdout]).toEqual([0, expect.stringMatching(/^# /)])

    // and the way back
    const back = await migrate(['rollback', playbook, '--json'])
    expect(eventsOf(back.stdout)).toContainEqual(expect.objectContaining({ event: 'change', phase: 'undone' }))
    expect(back.exit).toBe(0)
    expect(existsSync(join(folder, 'new', 'index.html'))).toBe(false)
  })

  it('keeps its state where --state says', async () => {
    const state = join(folder, 'elsewhere')
    expect((await migrate(['run', playbook, '--yes', '--state', state, '--only', 'snapshot-files'])).exit).toBe(0)
    expect(await readdir(state)).toContain('journal.jsonl')
  })

  it('stays bound to its playbook: a changed one is refused with the difference', async () => {
    const state = join(folder, 'bound')
    const changed = join(folder, 'changed.yml')
    await migrate(['run', playbook, '--yes', '--state', state, '--only', 'snapshot-files'])
    await writeFile(changed, (await readFile(playbook, 'utf8')).replace('files: new', 'files: other'))
    const { exit, stdout } = await migrate(['run', changed, '--yes', '--state', state])
    expect(exit).toBe(2)
    expect(stdout).toContain(`endpoints.new.files: "${join(folder, 'new')}" → "${join(folder, 'other')}"`)
  })
})
