import { describe, expect, it } from 'vitest'
import { stoppable, underStop, unlessStopped } from '../../src/base/stop.ts'
import { FakeClock } from '../fakes/clock.ts'

/** What the port promises of a stop (databases/port.ts). */
const BOUND_MS = 2000
const ASKED = new Error('stopped, as asked')

describe('work on a connection that is told to stop', () => {
  /** Work on a line that keeps a list of what was done to it; it ends as the line lets it. */
  function working(answers: boolean) {
    const clock = new FakeClock(0, { automatic: false })
    const stop = new AbortController()
    const done: string[] = []
    const { promise, reject } = Promise.withResolvers<never>()
    const line = {
      interrupt: () => {
        done.push('interrupted')
        if (answers) reject(new Error('cancelled by the server'))
      },
      destroy: () => {
        done.push('destroyed')
        reject(new Error('the connection was closed'))
      },
    }
    const end = underStop(stop.signal, () => stoppable(line, () => promise), clock).catch((error: unknown) => {
      done.push('ended')
      return error
    })
    return { clock, stop, done, end }
  }

  it('has the server told before anything else is done', async () => {
    const { stop, done, end } = working(true)
    stop.signal.addEventListener('abort', () => done.push('others heard of it'))
    await Promise.resolve()
    stop.abort(ASKED)
    expect(done[0]).toBe('interrupted')
    expect(await end).toBe(ASKED)
  })

  it('keeps a connection whose server answers for as long as it must', async () => {
    const { clock, stop, done, end } = working(true)
    stop.abort(ASKED)
    expect(await end).toBe(ASKED)
    expect(clock.sleeping).toBe(0)
    await clock.advance(BOUND_MS)
    expect(done).toEqual(['interrupted', 'ended'])
  })

  it('is over two seconds later though the server never answers', async () => {
    const { clock, stop, done, end } = working(false)
    await clock.advance(BOUND_MS)
    expect(done).toEqual([])
    stop.abort(ASKED)
    await clock.advance(BOUND_MS)
    expect(done).toEqual(['interrupted', 'destroyed', 'ended'])
    expect(await end).toBe(ASKED)
  })

  it('waits for nothing else beyond the stop, and gives away what comes after it', async () => {
    const stop = new AbortController()
    const late: string[] = []
    const thing = Promise.withResolvers<string>()
    const end = underStop(stop.signal, () => unlessStopped(thing.promise, (each) => late.push(each))).catch((error) => error)
    stop.abort(ASKED)
    expect(await end).toBe(ASKED)
    thing.resolve('a connection')
    await thing.promise
    expect(late).toEqual(['a connection'])
  })
})
