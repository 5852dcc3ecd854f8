import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { messageOf } from '../base/errors.ts'
import type { Resolver } from '../dns/port.ts'
import type { Luck } from './customers-luck.ts'
import { type Purchase, type Receipt, receiptSchema } from './shop-checkout.ts'
import { PRODUCT_COUNT, pictureName } from './shop-pictures.ts'
import { customerName, regularEmail, skuOf } from './shop-tables.ts'

/** What came of one try to buy. `refused`: the shop answered, but with an error; `broken`: no answer came. */
export type Outcome =
  | { readonly kind: 'bought'; readonly receipt: Receipt; readonly address: string }
  | { readonly kind: 'refused'; readonly status: number; readonly words: string; readonly address: string }
  | { readonly kind: 'broken'; readonly words: string; readonly address: string | undefined }

export interface Customer {
  /** Looks at the front page and at a picture; returns what went wrong, '' when nothing did. */
  browse(): Promise<string>
  buy(): Promise<Outcome>
}

export interface CustomerOptions {
  /** The name that customers know: `http://shop.demo.test:8080`. */
  readonly site: URL
  /** The customer's own provider's, with its cache. */
  readonly resolver: Resolver
  /** The number of the regular customer that this one is. */
  readonly regular: number
  readonly luck: Luck
}

const NEWCOMERS = 0.25
const PATIENCE_MS = 15_000

/** Somebody who shops by name, and mostly as themselves, at times as a newcomer who never comes back. */
export function customer(options: CustomerOptions): Customer {
  const { site, resolver, regular, luck } = options
  const find = async (): Promise<string> => {
    const answer = await resolver.query(site.hostname, 'A')
    const address = answer.records.find((record) => record.type === 'A')?.content
    if (address === undefined) throw new Error(`${site.hostname} has no address: ${answer.status} from ${resolver.label}`)
    return address
  }
  return {
    browse: async () => {
      try {
        const address = await find()
        for (const path of ['/', `/images/${pictureName(luck.between(1, PRODUCT_COUNT))}`]) {
          const { status } = await ask(address, site, path)
          if (status !== 200) return `${status} for ${path} on ${address}`
        }
        return ''
      } catch (error) {
        return messageOf(error)
      }
    },
    buy: async () => {
      const purchase = shoppingBag(regular, luck)
      let address: string | undefined
      try {
        address = await find()
        const { status, body } = await ask(address, site, '/checkout', JSON.stringify(purchase))
        if (status !== 201) return { kind: 'refused', status, words: body.trim(), address }
        return { kind: 'bought', receipt: receiptSchema.parse(JSON.parse(body)), address }
      } catch (error) {
        return { kind: 'broken', words: messageOf(error), address }
      }
    },
  }
}

function shoppingBag(regular: number, luck: Luck): Purchase {
  const reference = luck.uuid()
  const newcomer = luck.chance(NEWCOMERS)
  const shirts = new Set(Array.from({ length: luck.between(1, 3) }, () => luck.between(1, PRODUCT_COUNT)))
  return {
    email: newcomer ? `new-${reference}@customers.test` : regularEmail(regular),
    name: customerName(luck),
    reference,
    items: [...shirts].map((number) => ({ sku: skuOf(number), quantity: luck.between(1, 4) })),
  }
}

/** One request on a connection of its own, so that each goes where the name points at that moment. */
function ask(
  address: string,
  site: URL,
  path: string,
  body?: string,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { host: site.host, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const method = body === undefined ? 'GET' : 'POST'
    const call = request({ host: address, port: site.port || 80, path, method, headers, agent: false, signal }, (response) => {
      text(response).then((words) => resolve({ status: response.statusCode ?? 0, body: words }), reject)
    })
    call.on('error', reject)
    call.end(body)
  })
}
