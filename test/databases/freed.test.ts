import { once } from 'node:events'
import { createZstdCompress } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { freed } from '../../src/databases/buffers.ts'

const SIZE = 256 * 1024
const own = (): Buffer => Buffer.allocUnsafeSlow(SIZE)

async function* given(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield piece
}

describe('the buffers of a stream’s pieces', () => {
  it('are freed once their last piece was used, and not because another one comes first', async () => {
    const [shared, joined, next] = [own(), own(), own()]
    const pieces = [shared.subarray(0, 10), joined, shared.subarray(10, 20), shared.subarray(20), next.subarray(0, 10)]
    const sizes: (readonly number[])[] = []
    for await (const piece of freed(given(pieces))) {
      expect(piece.byteLength).toBeGreaterThan(0)
      sizes.push([shared, joined, next].map(({ buffer }) => buffer.byteLength / SIZE))
    }
    expect(sizes).toEqual([
      [1, 1, 1],
      [1, 1, 1],
      [1, 0, 1],
      [1, 0, 1],
      [0, 0, 1],
    ])
    expect([shared, joined, next].map(({ buffer }) => buffer.byteLength)).toEqual([0, 0, 0])
  })

  it('are left to zlib as long as it writes into them, however late its pieces are taken', async () => {
    const packer = createZstdCompress({ chunkSize: SIZE })
    const pieces = freed(packer)[Symbol.asyncIterator]()
    const failure = once(packer, 'error').then(([error]) => error)
    // Little comes of each write: several pieces are cut from one buffer, and joined when they are taken late.
    for (const writes of [1, 8, 1]) {
      for (let time = 0; time < writes; time += 1)
        await new Promise((resolve) => {
          packer.write(Buffer.alloc(1000, time))
          packer.flush(() => resolve(undefined))
        })
      const next = await Promise.race([pieces.next(), failure])
      expect(next).toMatchObject({ done: false })
    }
    packer.destroy()
  })
})
