import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { Worker } from 'node:worker_threads'
import { MigrateError } from '../base/errors.ts'
import type { Answer, Order } from './hash-thread.ts'
import { copyTo, giveBack, Lender, lookAt } from './lent.ts'
import { hashOfBeginning } from './resume.ts'

/** To have so many bytes hashed elsewhere is worth a thread, which takes 50 ms of a processor and 20 MiB of memory. */
const WORTH_BYTES = 8 * 1024 * 1024
/** Handed over at a time. */
const BATCH_BYTES = 512 * 1024
/** So far the thread may be behind with one content before its next bytes have to wait. */
const MOST_BEHIND = 1024 * 1024
/** What doesn't lie in memory that threads can share is copied into pieces of this size. */
const COPY_BYTES = 256 * 1024
const copies = new Lender(COPY_BYTES, 16)

/** The SHA-256 of a content that comes piece by piece. */
export interface RunningHash {
  /** Takes in the next bytes. What it returns is to be waited for before more are given. */
  update(bytes: Buffer): Promise<void> | undefined
  /** Of all bytes that were given before this call, in hexadecimal. More may be given while it is waited for. */
  soFar(): Promise<string>
  /** No more is asked. Call it however it ends. */
  end(): void
}

const PROGRAM = new URL(import.meta.url.endsWith('.ts') ? './hash-thread.ts' : './hash-thread.js', import.meta.url)

/**
 * Hashes large contents in a thread of its own, beside the one that moves them: SHA-256 costs more than all else that is done with their bytes.
 * It is begun when the first one comes and doesn't keep the process alive. Where there is none, or it is lost, hashes are made here.
 */
export class HashThread {
  readonly #program: URL
  readonly #running = new Map<number, BesideHash>()
  #worker: Worker | undefined
  #isOver = false
  #last = 0
  /** Answers that are waited for: as long as there are any, the process has to go on. */
  #awaited = 0

  /** `program`: what runs in the thread. */
  constructor(program: URL = PROGRAM) {
    this.#program = program
  }

  /** `size`: of the content, bytes. `again`: opens it once more from its beginning, for the case that the thread is lost. */
  begin(size: number, again: () => Readable | Promise<Readable>): RunningHash {
    if (size < WORTH_BYTES || !this.#isThere()) return new OwnHash()
    this.#last += 1
    const id = this.#last
    const hash = new BesideHash(
      (order) => this.#worker?.postMessage({ ...order, hash: id } satisfies Order),
      again,
      () => this.#running.delete(id),
      (answer) => this.#awaiting(answer),
    )
    this.#running.set(id, hash)
    return hash
  }

  /** Ends the thread. Hashes that are under way are gone on with here. */
  close(): void {
    void this.#worker?.terminate()
    this.#lose()
  }

  #isThere(): boolean {
    if (this.#worker !== undefined || this.#isOver) return !this.#isOver
    try {
      // What this process was started with isn't meant for it.
      const worker = new Worker(this.#program, { execArgv: [] })
      worker.on('message', (answer: Answer) => this.#running.get(answer.hash)?.answered(answer))
      // Whatever it was: hashes are made here from now on, of all bytes.
      for (const event of ['error', 'messageerror', 'exit']) worker.on(event, () => this.#lose())
      worker.unref()
      this.#worker = worker
    } catch {
      this.#isOver = true // this process may have no more threads
    }
    return !this.#isOver
  }

  #lose(): void {
    this.#isOver = true
    this.#worker = undefined
    for (const hash of this.#running.values()) hash.lost()
    this.#running.clear()
  }

  async #awaiting<T>(answer: Promise<T>): Promise<T> {
    this.#awaited += 1
    if (this.#awaited === 1) this.#worker?.ref()
    try {
      return await answer
    } finally {
      this.#awaited -= 1
      if (this.#awaited === 0) this.#worker?.unref()
    }
  }
}

/**
 * The one that all share: it hashes faster than bytes can be moved here, in both directions together. It lasts as long as the process, since
 * what it takes to begin would have to be spent again for each batch of files.
 */
export const hashThread = new HashThread()

/** Made in this thread. */
class OwnHash implements RunningHash {
  readonly #hash = createHash('sha256')

  update(bytes: Buffer): undefined {
    this.#hash.update(bytes)
  }

  async soFar(): Promise<string> {
    return this.#hash.copy().digest('hex')
  }

  end(): void {
    // There is nothing to give back.
  }
}

/** Bytes for the thread. `done`: it looks at them no more. */
interface Piece {
  readonly bytes: Uint8Array
  done(): void
}

type ToThread = { readonly bytes: readonly Uint8Array[] } | { readonly asks: true } | { readonly ends: true }

/** Made by the thread. */
class BesideHash implements RunningHash {
  readonly #send: (order: ToThread) => void
  readonly #again: () => Readable | Promise<Readable>
  readonly #ended: () => void
  readonly #awaiting: <T>(answer: Promise<T>) => Promise<T>
  /** Of bytes that don't lie in shared memory: the copy that is being filled. */
  #filling: { readonly whole: Buffer; filled: number } | undefined
  #held: Piece[] = []
  #heldBytes = 0
  readonly #sent: { readonly pieces: readonly Piece[]; readonly length: number }[] = []
  #behind = 0
  #given = 0
  #isLost = false
  #goOn: (() => void) | undefined
  readonly #asked: ((sha256: string | undefined) => void)[] = []

  constructor(
    send: (order: ToThread) => void,
    again: () => Readable | Promise<Readable>,
    ended: () => void,
    awaiting: <T>(answer: Promise<T>) => Promise<T>,
  ) {
    this.#send = send
    this.#again = again
    this.#ended = ended
    this.#awaiting = awaiting
  }

  update(bytes: Buffer): Promise<void> | undefined {
    this.#given += bytes.length
    if (this.#isLost) return undefined
    if (bytes.buffer instanceof SharedArrayBuffer) {
      this.#holdCopy()
      this.#hold({ bytes, done: lookAt(bytes).done })
    } else {
      this.#copy(bytes)
    }
    if (this.#heldBytes >= BATCH_BYTES) this.#handOver()
    if (this.#behind <= MOST_BEHIND) return undefined
    return this.#awaiting(
      new Promise<void>((resolve) => {
        this.#goOn = resolve
      }),
    )
  }

  async soFar(): Promise<string> {
    const given = this.#given
    const sha256 = this.#isLost ? undefined : await this.#awaiting(this.#ask())
    if (sha256 !== undefined) return sha256
    const own = await hashOfBeginning(await this.#again(), given)
    if (own === undefined)
      throw new MigrateError('fault', 'A content that was being hashed has become shorter meanwhile. It was not kept.', {
        hint: 'Run again: it is fetched anew.',
        retrySafe: true,
      })
    return own
  }

  end(): void {
    if (!this.#isLost) this.#send({ ends: true })
    this.lost()
    this.#ended()
  }

  answered(answer: Answer): void {
    if ('sha256' in answer) {
      this.#asked.shift()?.(answer.sha256)
      return
    }
    const batch = this.#sent.shift()
    if (batch === undefined) return
    this.#behind -= batch.length
    for (const piece of batch.pieces) piece.done()
    if (this.#behind <= MOST_BEHIND) this.#goOn?.()
  }

  /** No answer comes any more. What was handed over isn't used again: the thread may be looking at it at this moment. */
  lost(): void {
    this.#isLost = true
    this.#goOn?.()
    for (const tell of this.#asked.splice(0)) tell(undefined)
  }

  #ask(): Promise<string | undefined> {
    this.#holdCopy()
    this.#handOver()
    this.#send({ asks: true })
    return new Promise((resolve) => this.#asked.push(resolve))
  }

  #copy(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      this.#filling ??= { whole: copies.lend(COPY_BYTES), filled: 0 }
      const taken = Math.min(bytes.length - at, COPY_BYTES - this.#filling.filled)
      copyTo(this.#filling.whole, this.#filling.filled, bytes.subarray(at, at + taken))
      at += taken
      this.#filling.filled += taken
      if (this.#filling.filled === COPY_BYTES) this.#holdCopy()
    }
  }

  #holdCopy(): void {
    if (this.#filling === undefined) return
    const { whole, filled } = this.#filling
    this.#filling = undefined
    this.#hold({ bytes: whole.subarray(0, filled), done: () => giveBack(whole) })
  }

  #hold(piece: Piece): void {
    this.#held.push(piece)
    this.#heldBytes += piece.bytes.length
  }

  #handOver(): void {
    if (this.#held.length === 0) return
    const [pieces, length] = [this.#held, this.#heldBytes]
    this.#held = []
    this.#heldBytes = 0
    this.#behind += length
    this.#sent.push({ pieces, length })
    this.#send({ bytes: pieces.map(({ bytes }) => bytes) })
  }
}
