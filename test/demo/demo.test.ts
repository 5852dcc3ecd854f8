import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { type DemoResult, runDemo } from '../../src/demo/index.ts'
import { carriedOrders } from '../../src/demo/receipts.ts'
import type { Queryable } from '../../src/demo/shop-tables.ts'
import { bindingOf, buildSequence, buildWorld, loadPlaybook } from '../../src/playbook/index.ts'
import type { RunEvent } from '../../src/run/events.ts'
import { runSequence } from '../../src/run/runner.ts'

const PROGRAM = fileURLToPath(new URL('../../bin/migrate.js', import.meta.url))
const WHOLE_DEMO_MS = 180_000

let temporary: string

beforeEach(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'migrate-demo-test-'))
  await chmod(temporary, 0o711) // As root, the database servers run as somebody else and must get through.
})

afterEach(async () => {
  await rm(temporary, { recursive: true, force: true })
})

// A demo from beginning to end is played by the packed program (test/packaging.test.ts).
describe('migrate demo', () => {
  test('is stopped by Ctrl-C in the middle and leaves nothing behind', { timeout: WHOLE_DEMO_MS }, async () => {
    const demo = start(['demo', '--json'])
    let output = ''
    demo.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    const closed = once(demo, 'close')
    await vi.waitFor(() => expect(output).toContain('"step":"snapshot-database","event":"started"'), { timeout: 90_000 })
    demo.kill('SIGINT')
    const [exit] = await closed
    expect(output.trim().split('\n').at(-1)).toContain('"outcome":"interrupted"')
    expect(exit).toBe(130)
    expect(await readdir(temporary)).toEqual([])
  })

  test('fails when a carried order goes missing before the reckoning', { timeout: WHOLE_DEMO_MS }, async () => {
    let lost = ''
    const result = await play(async (database) => {
      lost = [...(await carriedOrders(database))].at(0) ?? ''
      await database.query('DELETE FROM orders WHERE id = $1', [lost])
    })
    expect(lost).not.toBe('')
    expect(result.exit).toBe(1)
    expect(result.check?.faults).toHaveLength(1)
    expect(result.words.join('\n')).toContain(`order ${lost} of `)
    expect(result.words.join('\n')).toContain('the new host has no such order')
  })
})

const start = (args: readonly string[]) =>
  spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'inherit'],
  })

function play(spoil: (database: Queryable) => Promise<void>): Promise<DemoResult> {
  const interrupt = new AbortController().signal
  return runDemo({ clock: systemClock, interrupt, say: () => undefined, spoil, move, customers: 30 })
}

/** As `migrate run` does it, shown to nobody. */
async function move(file: string, environment: Readonly<Record<string, string>>): Promise<number> {
  const clock = systemClock
  const playbook = await loadPlaybook(file, environment)
  const world = await buildWorld(playbook, { clock })
  try {
    const failures: RunEvent[] = []
    const result = await runSequence({
      name: playbook.name,
      directory: join(dirname(file), 'state'),
      sequence: buildSequence(playbook, world),
      binding: await bindingOf(playbook, world, undefined),
      clock,
      sink: (event) => void (event.event === 'failed' && failures.push(event)),
      redactor: playbook.redactor,
      yes: true,
    })
    expect(failures).toEqual([])
    return result.exit
  } finally {
    await world.close()
  }
}
