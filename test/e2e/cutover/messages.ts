import type { Receipt } from '../../../src/demo/shop-checkout.ts'

/** How a customer finds the shop's address. */
export type Habit =
  /** Asks anew when the answer's TTL has passed; a connection for each request. */
  | 'prompt'
  /** As browsers do: goes on over an open connection, and asks for the address when it needs another one. */
  | 'keep-alive'
  /** Asked once, and goes by that until told. */
  | 'sticky'

export interface CustomersOptions {
  readonly name: string
  readonly port: number
  /** PEM file of the authorities that their browsers know. */
  readonly ca: string
  /** `127.0.33.4:5301`; dealt out in turn. */
  readonly resolvers: readonly string[]
  readonly crowd: Readonly<Record<Habit, number>>
}

/** What customers are told. `family`: two of them share an address of e-mail from now on; `leave`: the sticky ones ask anew. */
export type Told = 'family' | 'leave' | 'stop'

interface Event {
  readonly customer: number
  readonly habit: Habit
  /** The host that answered. */
  readonly address: string
  /** Milliseconds since 1970. */
  readonly at: number
}

/** What they tell. */
export type News =
  | (Event & { readonly kind: 'bought'; readonly receipt: Receipt })
  | (Event & { readonly kind: 'uploaded'; readonly path: string; readonly content: string })
  | (Event & { readonly kind: 'looked' })
  | (Event & { readonly kind: 'failed'; readonly words: string })
