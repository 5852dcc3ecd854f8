import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { MigrateError } from '../../src/base/errors.ts'
import { bytesOf, errorOf, type FilesUnderTest, from, plainly, sha256, writtenBy } from './files-kit.ts'

/** In pieces, as a file on disk gives them. */
function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}

const contentOf = (bytes: Buffer): Readable => Readable.from(piecesOf(bytes))

const TRIES = 10

/** Again while it may be: a login may still be under way that the fault has met, and a busy machine is slower than a short limit. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof MigrateError && error.retrySafe) || left === 1) throw error
    }
  }
}

export function faults(use: () => FilesUnderTest): void {
  const again = (bytes: Buffer) => ({ ...plainly, again: () => contentOf(bytes) })
  const brokenOff = async (bytes: Buffer, afterBytes: number): Promise<void> => {
    const { host, cut } = use()
    await host.stat('large') // connected, so that the file is cut and not the login
    cut?.(afterBytes)
    expect((await errorOf(host.write('large', contentOf(bytes), again(bytes)))).code).toBe('files-connection-lost')
    cut?.(undefined)
  }

  it('goes on at the byte with a large file that was cut off on its way there', async (context) => {
    const { host, truth, cut } = use()
    if (cut === undefined) return context.skip('there is no connection to cut')
    const bytes = randomBytes(12_000_000)
    await brokenOff(bytes, 10_000_000)
    expect(truth.read('large')).toBeUndefined()
    const written = await host.write('large', contentOf(bytes), again(bytes))
    expect(written.resumedAt).toBeGreaterThan(1_000_000)
    expect(written).toMatchObject({ size: bytes.length, sha256: sha256(bytes) })
    expect(truth.read('large')?.equals(bytes)).toBe(true)
    expect(truth.paths()).toEqual(['large'])
  })

  it('begins a file anew when what stands there isn’t its beginning', async (context) => {
    const { host, truth, cut } = use()
    if (cut === undefined) return context.skip('there is no connection to cut')
    await brokenOff(randomBytes(12_000_000), 10_000_000)
    const other = randomBytes(7_000_000)
    const written = await host.write('large', contentOf(other), again(other))
    expect(written).toEqual(await writtenBy(host, other))
    expect(truth.read('large')?.equals(other)).toBe(true)
  })

  it('leaves nothing beside a file that was cut off again and again', async (context) => {
    const { host, truth, cut } = use()
    if (cut === undefined) return context.skip('there is no connection to cut')
    const bytes = randomBytes(400_000)
    for (const afterBytes of [300_000, 250_000, 200_000]) {
      await patiently(() => host.stat('file')) // connected, so that the file is cut and not the login
      cut(afterBytes)
      expect((await errorOf(host.write('file', contentOf(bytes), again(bytes)))).code).toBe('files-connection-lost')
      cut(undefined)
    }
    await patiently(() => host.write('file', contentOf(bytes), again(bytes)))
    expect(truth.read('file')?.equals(bytes)).toBe(true)
    expect(truth.paths()).toEqual(['file'])
  })

  it('reports no wrong byte as right when one is changed on the way there', async (context) => {
    const { host, truth, corrupt } = use()
    if (corrupt === undefined) return context.skip('there is no way on which a byte could change')
    const { sealed } = await host.powers()
    const bytes = randomBytes(400_000)
    for (const atByte of [0, 30_000, 399_000]) {
      corrupt({ atByte, direction: 'up' })
      const outcome = await host.write('file', from(bytes), plainly).catch((error: unknown) => error)
      corrupt(undefined)
      const isRight = truth.read('file')?.equals(bytes) === true
      if (outcome instanceof MigrateError) expect(outcome.code).toMatch(/^files-(?:connection-lost|failed|unreachable)$/)
      else if (!isRight) {
        expect(sealed).toBe(false)
        expect(await host.sha256('file')).not.toBe(sha256(bytes))
      }
      await patiently(() => host.write('file', from(bytes), plainly))
      expect(await host.sha256('file')).toBe(sha256(bytes))
    }
  })

  it('reports no wrong byte as right when one is changed on the way here', async (context) => {
    const { host, truth, corrupt } = use()
    if (corrupt === undefined) return context.skip('there is no way on which a byte could change')
    const { sealed, hash } = await host.powers()
    const bytes = randomBytes(400_000)
    truth.put('file', bytes)
    for (const atByte of [0, 30_000, 399_000]) {
      corrupt({ atByte, direction: 'down' })
      const outcome = await bytesOf(host.read('file')).catch((error: unknown) => error)
      corrupt(undefined)
      if (!(outcome instanceof Buffer)) expect(outcome).toMatchObject({ code: expect.stringMatching(/^files-/) })
      else if (!outcome.equals(bytes)) {
        expect(sealed).toBe(false) // and without a hash either, `check` has said that nobody would notice
        if (hash !== null) expect((await host.hashes(['file']))[0]).not.toBe(sha256(outcome))
      }
      expect((await patiently(() => bytesOf(host.read('file')))).equals(bytes)).toBe(true)
    }
  })

  it('gives up on a host that falls silent in the middle, and goes on when it speaks again', async (context) => {
    const { impatient, truth, freeze } = use()
    if (freeze === undefined || impatient === undefined) return context.skip('there is no connection that could fall silent')
    const bytes = randomBytes(3_000_000)
    truth.put('old', bytes)
    for (const work of [() => bytesOf(impatient.read('old')), () => impatient.write('new', contentOf(bytes), plainly)]) {
      await patiently(() => impatient.stat('old'))
      freeze(600_000)
      expect(await errorOf(work())).toMatchObject({ code: 'files-connection-lost', retrySafe: true })
      freeze(undefined)
      await patiently<unknown>(work)
    }
    expect(truth.read('new')?.equals(bytes)).toBe(true)
  })

  it('hashes files by the host alone where it says that it can, and says which it can’t', async () => {
    const { host, truth } = use()
    const odd = `it's "odd" $HOME`
    truth.put('a/file', Buffer.from('hello'))
    truth.put(odd, Buffer.from('odd'))
    const { hash } = await host.powers()
    const hashes = await host.hashes(['a/file', 'nowhere', odd])
    expect(hashes).toEqual(hash === null ? [null, null, null] : [sha256(Buffer.from('hello')), null, sha256(Buffer.from('odd'))])
  })
}
