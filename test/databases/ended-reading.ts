import { expect } from 'vitest'
import { underStop } from '../../src/base/stop.ts'
import type { Database, Reader } from '../../src/databases/port.ts'

/** By whom a reading comes to its end before its time. */
export const ENDERS = ['the stop of its caller', 'the stop of the reader', 'the failure of another reader'] as const

const ASKED = new Error('stopped, as asked')

interface Reading {
  readonly database: Database
  /** Reads what no row comes of for as long as a test may take; throws where one comes. */
  read(reader: Reader, options: { readonly signal?: AbortSignal }): Promise<void>
  /** How many of its statements the server is at work on. */
  atWork(): Promise<number>
}

/** Has a reading ended, and expects that the server isn't at work on it any more when whoever asked for it is told. */
export async function expectEndedOnServer(ender: (typeof ENDERS)[number], { database, read, atWork }: Reading): Promise<void> {
  const stop = new AbortController()
  const failing = async (): Promise<never> => {
    await new Promise((resolve) => stop.signal.addEventListener('abort', resolve))
    throw ASKED
  }
  const work = (): Promise<unknown> =>
    database.read(2, async ([reader]) => {
      const rows = read(reader, ender === 'the stop of the reader' ? { signal: stop.signal } : {})
      await (ender === 'the failure of another reader' ? Promise.all([rows, failing()]) : rows)
    })
  const end = (ender === 'the stop of its caller' ? underStop(stop.signal, work) : work()).catch((error: unknown) => error)
  await expect.poll(atWork, { timeout: 30_000, interval: 20 }).toBe(1)
  stop.abort(ASKED)
  expect(await end).toBe(ASKED)
  expect(await atWork()).toBe(0)
}
