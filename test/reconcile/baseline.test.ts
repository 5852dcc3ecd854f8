import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { baselinePath, baselineTables } from '../../src/reconcile/baseline-file.ts'

/** Takes a baseline of two tables, and dies in the second, when so many of its rows are in. */
const DYING = (directory: string, rowsBeforeDeath: number): string => `
  import { takeBaseline } from ${JSON.stringify(new URL('../../src/reconcile/baseline.ts', import.meta.url).href)}
  const column = { name: 'id', type: 'integer', nullable: false, computed: null, kind: 'plain' }
  const table = (name) => ({ name: { schema: 'public', name }, columns: [column], key: ['id'] })
  const rows = async function* ({ name }) {
    for (let n = 0; ; n += 1000) {
      if (name.name === 'first' && n > 0) return
      if (n >= ${rowsBeforeDeath}) process.kill(process.pid, 'SIGKILL')
      yield Array.from({ length: 1000 }, (_, index) => [String(n + index)])
    }
  }
  const database = { read: (_readers, work) => work([{ rows }]) }
  await takeBaseline({ directory: ${JSON.stringify(directory)}, database, tables: [table('first'), table('second')] })
`

const killed = (script: string): Promise<NodeJS.Signals | null> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], { stdio: 'inherit' })
    child.once('exit', (_code, signal) => resolve(signal))
  })

describe('a baseline whose maker was killed', () => {
  let directory = ''
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'migrate-baseline-'))
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  it.each([100_000, 200_000])('holds the tables that were whole, after %i rows of the next', async (rows) => {
    expect(await killed(DYING(directory, rows))).toBe('SIGKILL')
    const held = await baselineTables(directory)
    expect([...held].map(([name, { ordinal, rows: kept }]) => [name, ordinal, kept])).toEqual([['public.first', 1, 1000]])
  })

  it('holds nothing when only its empty file is there', async () => {
    await writeFile(baselinePath(directory), '')
    expect((await baselineTables(directory)).size).toBe(0)
  })
})
