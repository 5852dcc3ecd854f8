import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import type { Chunk } from '../../src/databases/snapshot/part.ts'
import { writePart } from '../../src/databases/snapshot/part-writer.ts'
import { failureOf } from '../contract/database-kit.ts'

const LIMITS = { rows: 1000, bytes: 2 ** 30 }

async function* noise(): AsyncGenerator<Chunk> {
  for (let at = 0; at < 8; at += 1) yield { rows: 1, bytes: randomBytes(4 * 2 ** 20), lastKey: null }
}

describe('a part that is written', () => {
  it('to a disk that is found full while the packer waits for room ends with disk-full, and never waits for ever', async () => {
    const full = {
      appendFile: async () => {
        // The packer packs in the thread pool as these are: by then it has filled what it may hold, and waits.
        for (let turn = 0; turn < 200; turn += 1) await stat('.')
        throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
      },
    }
    const failure = await failureOf(writePart(full, 'part-1', noise(), LIMITS))
    expect(failure).toMatchObject({ code: 'disk-full' })
  })
})
