import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { Redactor, Secret } from '../../src/base/secret.ts'
import type { Shell } from '../../src/files/port.ts'
import { runSequence } from '../../src/run/runner.ts'
import { rollback } from '../../src/run/undo.ts'
import { runKind } from '../../src/steps/run.ts'
import { killAll, startMigrate } from '../e2e/migrate-process.ts'
import { testContext, testWorld } from '../fakes/step-run.ts'
import { runOver, storyOf } from '../run/shelf.ts'

const folder = (): Promise<string> => mkdtemp(join(tmpdir(), 'migrate-command-'))

async function commandRun(options: Record<string, unknown>, shell?: Shell) {
  const directory = await folder()
  const world = testWorld(shell === undefined ? {} : { new: { shell } })
  const step = () => runKind.create(runKind.options.parse(options), testContext(world, 'run', directory))
  const told = await runOver([[step()]], { clock: systemClock })
  return { directory, ...told, notes: () => told.events.flatMap((event) => (event.event === 'note' ? [event.message] : [])) }
}

/** What a command has written to a file, once it has written a line. */
const written = (path: string): Promise<string> =>
  vi.waitFor(
    async () => {
      const text = await readFile(path, 'utf8')
      expect(text).toMatch(/\n$/)
      return text
    },
    { timeout: 60_000, interval: 20 },
  )

describe('a run step', () => {
  it('runs a command beside the playbook, shows what it writes, and does not run it again', async () => {
    const { directory, options, notes, events } = await commandRun({
      command: 'echo hello; echo world >&2; echo $MIGRATE_RUN >> runs',
    })

    const result = await runSequence(options)
    expect(result).toMatchObject({ outcome: 'ok' })
    expect(notes()).toEqual(expect.arrayContaining(['hello', 'world']))
    events.length = 0
    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(storyOf(events)).toContain('skipped run')
    expect(await readFile(join(directory, 'runs'), 'utf8')).toBe(`${result.runId}\n`)
  })

  it('fails with the last lines of a command that fails, and runs it anew without asking', async () => {
    const { directory, options, events } = await commandRun({ command: 'echo tried >> tries; cat missing-file; test -e fixed' })

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed', exit: 1 })
    const failed = events.find((event) => event.event === 'failed')
    expect(failed).toMatchObject({ code: 'command-failed', message: expect.stringContaining('ended with exit code 1') })
    expect(failed).toMatchObject({ message: expect.stringContaining('missing-file') })
    await runSequence({ ...options, sequence: [[await fixing(directory)]] })
    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(await readFile(join(directory, 'tries'), 'utf8')).toBe('tried\ntried\n')
  })

  const fixing = async (directory: string) =>
    runKind.create(runKind.options.parse({ command: 'touch fixed' }), testContext(testWorld({}), 'fix', directory))

  it('keeps secrets out of notes, errors and the journal', async () => {
    const redactor = new Redactor()
    redactor.add(new Secret('hunter2secret'))
    const { options, events } = await commandRun({ command: 'echo password hunter2secret; exit 3' })

    await runSequence({ ...options, redactor })

    expect(JSON.stringify(events)).toContain('password ***')
    expect(JSON.stringify(events)).not.toContain('hunter2')
    expect(await readFile(join(options.directory, 'journal.jsonl'), 'utf8')).not.toContain('hunter2')
  })

  it('ends the command and all its children when it is interrupted', async () => {
    const interrupt = new AbortController()
    const { directory, options } = await commandRun({ command: '(echo $$ > pid; sleep 600) & wait' })
    const running = runSequence({ ...options, interrupt: interrupt.signal })
    const pid = Number(await written(join(directory, 'pid')))

    interrupt.abort()

    expect(await running).toMatchObject({ outcome: 'interrupted', exit: 130 })
    expect(isOver(pid)).toBe(true)
  })

  it('is stopped by its timeout', async () => {
    const { options, events } = await commandRun({ command: 'sleep 600', timeout: '100ms' })

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed' })
    expect(storyOf(events)).toContain('failed run step-timed-out')
  })

  it('that was cut off asks before it runs again, unless it is repeatable', async () => {
    const cutOff = async (more: Record<string, unknown>) => {
      const told = await commandRun({ command: 'echo ran >> runs; test -e go || sleep 600', ...more })
      const interrupt = new AbortController()
      const running = runSequence({ ...told.options, interrupt: interrupt.signal })
      await written(join(told.directory, 'runs'))
      interrupt.abort()
      expect(await running).toMatchObject({ outcome: 'interrupted' })
      await runSequence({
        ...told.options,
        sequence: [
          [runKind.create(runKind.options.parse({ command: 'touch go' }), testContext(testWorld({}), 'go', told.directory))],
        ],
      })
      return told
    }
    const asking = await cutOff({})
    expect(await runSequence(asking.options)).toMatchObject({ outcome: 'waiting', exit: 3 })
    expect(asking.events.findLast((event) => event.event === 'waiting')).toMatchObject({
      message: expect.stringContaining('it was ended then, but may have taken effect'),
    })
    expect(await runSequence({ ...asking.options, ask: async () => false })).toMatchObject({ outcome: 'ok' })
    expect(await readFile(join(asking.directory, 'runs'), 'utf8')).toBe('ran\n')

    const repeatable = await cutOff({ repeatable: true })
    expect(await runSequence(repeatable.options)).toMatchObject({ outcome: 'ok' })
    expect(await readFile(join(repeatable.directory, 'runs'), 'utf8')).toBe('ran\nran\n')
    expect(storyOf(repeatable.events)).toContain('info command-run-again')
  })

  it('on a host that was cut off is said to run there perhaps still, before it is run a second time', async () => {
    const cutOff = async (more: Record<string, unknown>) => {
      const interrupt = new AbortController()
      let runs = 0
      const shell: Shell = {
        label: 'ssh://site@new.example.com',
        run: (_command, signal) => {
          runs += 1
          if (runs > 1) return Promise.resolve({ exit: 0, stdout: '', stderr: '' })
          const ended = new Promise<never>((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
          interrupt.abort()
          return ended
        },
      }
      const told = await commandRun({ command: 'restart-shop', on: 'new', ...more }, shell)
      await runSequence({ ...told.options, interrupt: interrupt.signal })
      return { ...told, runs: () => runs }
    }
    const asking = await cutOff({})
    expect(await runSequence(asking.options)).toMatchObject({ outcome: 'waiting', exit: 3 })
    expect(asking.events.findLast((event) => event.event === 'waiting')).toMatchObject({
      message: expect.stringContaining('may still be running on ssh://site@new.example.com'),
      hint: expect.stringContaining('Look on ssh://site@new.example.com first'),
    })
    expect(asking.runs()).toBe(1)
    expect(await runSequence({ ...asking.options, yes: true })).toMatchObject({ outcome: 'ok' })
    expect(storyOf(asking.events)).toContain('warning command-run-again')
    const repeatable = await cutOff({ repeatable: true })
    expect(await runSequence(repeatable.options)).toMatchObject({ outcome: 'ok' })
    expect(repeatable.events).toContainEqual(
      expect.objectContaining({ code: 'command-run-again', message: expect.stringContaining('may still be running on') }),
    )
    expect(repeatable.runs()).toBe(2)
  })

  it('ends with migrate, however that ends, and is not run a second time unasked', async () => {
    const directory = await folder()
    const command = 'trap "" HUP; echo $$ > pid; sleep 600; echo late > late'
    const playbook = { name: 'killed', old: { files: directory }, new: { files: directory }, steps: [{ run: { command } }] }
    await writeFile(join(directory, 'playbook.yml'), JSON.stringify(playbook))
    const first = startMigrate(['run', join(directory, 'playbook.yml')], {})
    try {
      const pid = Number(await written(join(directory, 'pid')))
      first.kill('SIGKILL')
      await vi.waitUntil(() => isOver(pid), { timeout: 20_000, interval: 20 })
      const second = await startMigrate(['run', join(directory, 'playbook.yml')], {}).ended
      expect(second).toMatchObject({ exit: 3, stdout: expect.stringContaining('was cut off while its command ran') })
      expect(existsSync(join(directory, 'late'))).toBe(false)
    } finally {
      killAll()
    }
  })

  const isOver = (pid: number): boolean => {
    try {
      process.kill(pid, 0)
      // Nobody may be there to take its end.
      return existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
    } catch {
      return true
    }
  }

  it('is taken back by its own command, and has no way back without one', async () => {
    const { directory, options, events } = await commandRun({ command: 'touch made', undo: 'rm made' })
    await runSequence(options)
    expect(existsSync(join(directory, 'made'))).toBe(true)

    expect(await rollback(options)).toMatchObject({ outcome: 'ok' })
    expect(existsSync(join(directory, 'made'))).toBe(false)
    expect(events.some((event) => event.event === 'finding' && event.code === 'no-way-back')).toBe(false)

    const oneWay = await commandRun({ command: 'touch made' })
    await runSequence(oneWay.options)
    expect(oneWay.events.some((event) => event.event === 'finding' && event.code === 'no-way-back')).toBe(true)
  })

  it('runs on a host through its shell', async () => {
    const seen: string[] = []
    const shell: Shell = {
      label: 'ssh://site@new.example.com',
      run: async (command) => {
        seen.push(command)
        return { exit: seen.length === 1 ? 127 : 0, stdout: 'out\n', stderr: 'not found\n' }
      },
    }
    const { options, events, notes } = await commandRun({ command: 'restart-shop', on: 'new' }, shell)

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed' })
    expect(events.find((event) => event.event === 'failed')).toMatchObject({
      message: 'The command of run on ssh://site@new.example.com ended with exit code 127. Its last lines:\n  out\n  not found',
    })
    expect(await runSequence(options)).toMatchObject({ outcome: 'ok' })
    expect(seen).toEqual(['restart-shop', 'restart-shop'])
    expect(notes()).toContain('out')
  })

  it('needs a shell on the host, and says so in its check', async () => {
    const { options, events } = await commandRun({ command: 'restart-shop', on: 'old' })

    expect(await runSequence(options)).toMatchObject({ outcome: 'failed' })
    expect(storyOf(events)).toContain('error playbook-part-missing')
  })
})
