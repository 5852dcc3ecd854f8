import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CustomersOptions, News, Told } from './messages.ts'

const PROGRAM = fileURLToPath(new URL('./customers-process.ts', import.meta.url))

/** The customers, seen from outside: what they tell as it happens. */
export interface Crowd {
  readonly news: readonly News[]
  /** Resolves with the first `count` of the news that `wanted` accepts, past ones included. */
  until(wanted: (news: News) => boolean, count: number): Promise<readonly News[]>
  tell(told: Told): void
  /** Lets them finish what they are at. */
  stop(): Promise<void>
}

export function gather(options: CustomersOptions): Crowd {
  const child = fork(PROGRAM, [JSON.stringify(options)], { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  const news: News[] = []
  const waiting = new Set<() => void>()
  let complaint = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    complaint += chunk.toString()
  })
  child.on('message', (each: News) => {
    news.push(each)
    for (const look of waiting) look()
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  ended.then(() => {
    for (const look of waiting) look()
  })
  const tell = (told: Told): void => {
    if (child.connected) child.send(told)
  }
  return {
    news,
    tell,
    until: (wanted, count) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = news.filter(wanted).slice(0, count)
          if (found.length < count && !isOver(child)) return
          waiting.delete(look)
          if (found.length === count) resolve(found)
          else reject(new Error(`the customers went home first. ${complaint}`))
        }
        waiting.add(look)
        look()
      }),
    stop: async () => {
      tell('stop')
      const exit = await ended
      if (exit !== 0) throw new Error(`the customers ended with ${exit}. ${complaint}`)
    },
  }
}

const isOver = ({ exitCode, signalCode }: { readonly exitCode: number | null; readonly signalCode: string | null }): boolean =>
  exitCode !== null || signalCode !== null
