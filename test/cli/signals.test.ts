import { afterEach, describe, expect, it } from 'vitest'
import { listenForSignals, type Stops } from '../../src/cli/signals.ts'

describe('signals', () => {
  let stops: Stops | undefined
  afterEach(() => stops?.dispose())

  const listening = (): { readonly stops: Stops; readonly said: string[]; readonly exits: number[] } => {
    const heard = { said: [] as string[], exits: [] as number[] }
    const ended = (code: number): never => {
      heard.exits.push(code)
      throw new Error('ended')
    }
    stops = listenForSignals((text) => void heard.said.push(text), ended)
    return { stops, ...heard }
  }
  const send = (signal: NodeJS.Signals): boolean => process.emit(signal, signal)

  it.each([
    ['SIGHUP', 'SIGHUP'],
    ['SIGTERM', 'SIGTERM'],
    ['SIGINT', 'SIGHUP'],
  ] as const)('%s and then %s is one wish: nobody need have sent the second', (first, second) => {
    const { stops, said, exits } = listening()
    for (const signal of [first, second, second]) send(signal)
    expect([stops.interrupt.aborted, stops.abort.aborted, exits]).toEqual([true, false, []])
    expect(said).toEqual([expect.stringContaining('next safe point')])
    send('SIGINT')
    expect(stops.abort.aborted).toBe(true)
  })

  it('Ctrl-C again stops now, and once more ends it', () => {
    const { stops, said, exits } = listening()
    send('SIGINT')
    expect(stops.abort.aborted).toBe(false)
    send('SIGINT')
    expect([stops.abort.aborted, exits]).toEqual([true, []])
    expect(said.at(-1)).toContain('Stopping now')
    expect(() => send('SIGINT')).toThrow('ended')
    expect(exits).toEqual([130])
  })
})
