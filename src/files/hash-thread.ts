// What runs in a thread of its own: hashes what it is given (hash-beside.ts).
import { createHash, type Hash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'

/** For one of the hashes, which have numbers: its next bytes, in memory of both threads; a question what they come to so far; its end. */
export type Order =
  | { readonly hash: number; readonly bytes: readonly Uint8Array[] }
  | { readonly hash: number; readonly asks: true }
  | { readonly hash: number; readonly ends: true }

/** For each order but the last, in their order: the bytes were taken, and are looked at no more; SHA-256 in hexadecimal. */
export type Answer = { readonly hash: number; readonly taken: true } | { readonly hash: number; readonly sha256: string }

const running = new Map<number, Hash>()

parentPort?.on('message', (order: Order) => {
  if ('ends' in order) {
    running.delete(order.hash)
    return
  }
  const hash = running.get(order.hash) ?? createHash('sha256')
  running.set(order.hash, hash)
  if ('asks' in order) return answer({ hash: order.hash, sha256: hash.copy().digest('hex') })
  for (const bytes of order.bytes) hash.update(bytes)
  answer({ hash: order.hash, taken: true })
})

const answer = (given: Answer): void => parentPort?.postMessage(given)
