import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { directly } from '../../src/run/step.ts'
import { FileStore } from '../../src/steps/file-store.ts'

const directory = mkdtempSync(join(tmpdir(), 'migrate-incoming-'))
afterEach(() => rmSync(directory, { recursive: true, force: true }))

// So large that another thread hashes it.
const bytes = randomBytes(9_000_000)
const entry = { path: 'large', kind: 'file', size: bytes.length, mode: 0o644, mtimeSeconds: 1, target: null } as const

/** Files of a folder that this process has open, where the system tells. */
const openBelow = (folder: string): readonly string[] =>
  (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd') : []).flatMap((fd) => {
    const file = existsSync(`/proc/self/fd/${fd}`) ? readlinkSync(`/proc/self/fd/${fd}`) : ''
    return file.startsWith(folder) ? [file] : []
  })

function* broken(): Generator<Buffer> {
  yield bytes.subarray(0, 4_000_000)
  throw new Error('cut off')
}

describe('a large file that was cut off on its way here', () => {
  it.each([
    ['goes on where its mark says', (mark: string) => mark, 4_000_000],
    ['begins anew where a power cut has left the mark empty', () => '', undefined],
    ['begins anew where the mark is damaged', (mark: string) => mark.slice(0, 20), undefined],
    ['begins anew where the mark says something else', () => '{"bytes":"4000000"}', undefined],
  ])('%s', async (_what, damaged, resumedAt) => {
    const store = FileStore.open(directory, directly)
    try {
      await expect(store.objects.takeFrom(entry, async () => Readable.from(broken()))).rejects.toThrow('cut off')
      const incoming = join(directory, 'incoming')
      const mark = join(incoming, readdirSync(incoming).find((name) => name.endsWith('.mark')) ?? '')
      writeFileSync(mark, damaged(readFileSync(mark, 'utf8')))
      const kept = await store.objects.takeFrom(entry, async (offset) => Readable.from([bytes.subarray(offset)]))
      expect(kept.sha256).toBe(createHash('sha256').update(bytes).digest('hex'))
      expect(kept.resumedAt).toBe(resumedAt)
    } finally {
      store.close()
    }
  })

  it('leaves nothing open, and nothing lying about, where the host doesn’t even begin', async () => {
    const store = FileStore.open(directory, directly)
    try {
      await expect(store.objects.takeFrom(entry, () => Promise.reject(new Error('gone')))).rejects.toThrow('gone')
      expect([readdirSync(join(directory, 'incoming')), openBelow(join(directory, 'incoming'))]).toEqual([[], []])
    } finally {
      store.close()
    }
  })
})
