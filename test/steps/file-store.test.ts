import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { directly } from '../../src/run/step.ts'
import { FileStore } from '../../src/steps/file-store.ts'

const ENTRY = { path: 'a.txt', kind: 'file', size: 2, mode: 0o644, mtimeSeconds: 1, target: null, sha256: 'f'.repeat(64) }

/** Keeps one entry, says so, and dies with its files open. */
const DYING = (directory: string): string => `
  import { FileStore } from ${JSON.stringify(new URL('../../src/steps/file-store.ts', import.meta.url).href)}
  const store = FileStore.open(${JSON.stringify(directory)}, (_name, effect) => effect())
  await store.keep(${JSON.stringify(ENTRY)}, Buffer.from('hi'))
  process.kill(process.pid, 'SIGKILL')
`

describe('a snapshot of files whose maker was killed', () => {
  let directory = ''
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'migrate-file-store-'))
  })
  afterEach(() => rm(directory, { recursive: true, force: true }))

  it('is as good as none when only the empty file of its index is there', async () => {
    await writeFile(join(directory, 'index.db'), '')
    expect(FileStore.openExisting(directory, directly)).toBeUndefined()
    FileStore.open(directory, directly).close()
    const store = FileStore.openExisting(directory, directly)
    expect(await store?.whole()).toBeUndefined()
    store?.close()
  })

  it('still has what was kept, and isn’t whole', async () => {
    const signal = await new Promise((resolve) => {
      const child = spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', DYING(directory)], {
        stdio: 'inherit',
      })
      child.once('exit', (_code, by) => resolve(by))
    })
    expect(signal).toBe('SIGKILL')
    const store = FileStore.openExisting(directory, directly)
    expect(store?.entry('a.txt')).toEqual(ENTRY)
    expect(await store?.whole()).toBeUndefined()
    store?.close()
  })
})
