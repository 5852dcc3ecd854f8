import { isIP } from 'node:net'
import { z } from 'zod'
import { checkedParts } from './issues.ts'
import type { MailSettings } from './model.ts'
import type { Path, Source, Value } from './source.ts'

const text = z.string().min(1)
const ADDRESS = /^[^\s@<>"]+@(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$/i
const SELECTOR = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i
const SERVER = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::(\d{1,5}))?$/i
const SUBMISSION_PORT = 587

export const mailShape = {
  from: text.meta({ description: 'The address that the shop’s mails come from: orders@shop.example' }),
  addresses: z
    .array(text)
    .min(1)
    .optional()
    .meta({ description: 'Where the new host’s mails leave from; the address of new.site when left out and there is no via' }),
  via: text
    .optional()
    .meta({ description: 'The server through which the new host sends: smtp.example.com:587; itself when left out' }),
  dkim: z
    .array(text)
    .min(1)
    .optional()
    .meta({ description: 'DKIM selectors with which the new host signs; the usual ones are tried' }),
  hourly: z
    .int()
    .min(0)
    .optional()
    .meta({ description: 'Mails an hour to expect; measured from the old shop’s orders when left out' }),
  'per-order': z.number().min(0).optional().meta({ description: 'Mails for one order, to the customer and to the shop (2)' }),
  resolver: text.optional().meta({ description: 'Who is asked about names, ip or ip:port; this machine’s own when left out' }),
  blocklists: z.array(text).optional().meta({ description: 'Other lists of blocked senders than the usual ones; [] asks none' }),
}
export const mailSchema = z.strictObject(mailShape)

/** `mail:`; what is wrong is complained of and left out. */
export function readMail(value: Value, path: Path, source: Source): MailSettings | undefined {
  const given = checkedParts(mailShape, value, path, source)
  const complain = (key: string, index: number | undefined, message: string, hint: string): void =>
    void source.complain([...path, key, ...(index === undefined ? [] : [index])], message, hint)
  const { from, via, resolver } = given
  if (from !== undefined && !ADDRESS.test(from))
    complain('from', undefined, 'This is no mail address.', 'Write it like orders@shop.example.')
  for (const [index, address] of (given.addresses ?? []).entries()) {
    if (isIP(address) === 0) complain('addresses', index, 'This is no IP address.', 'Write it like 198.51.100.20.')
  }
  for (const [index, selector] of (given.dkim ?? []).entries()) {
    if (!SELECTOR.test(selector))
      complain('dkim', index, 'This is no DKIM selector.', 'It is what stands before ._domainkey in the record’s name.')
  }
  const server = via === undefined ? undefined : serverOf(via, SUBMISSION_PORT)
  if (via !== undefined && server === undefined)
    complain('via', undefined, 'This is no server.', 'Write it like smtp.example.com:587.')
  const asked = resolver === undefined ? undefined : serverOf(resolver, 53)
  if (resolver !== undefined && (asked === undefined || isIP(asked.host) === 0))
    complain('resolver', undefined, 'This is no address of a resolver.', 'Write it like 192.0.2.53 or 127.0.20.1:5301.')
  if (from === undefined) return undefined
  return {
    from,
    addresses: given.addresses,
    via: server,
    dkim: given.dkim,
    hourly: given.hourly,
    perOrder: given['per-order'],
    resolver,
    blocklists: given.blocklists,
  }
}

function serverOf(written: string, usualPort: number): { readonly host: string; readonly port: number } | undefined {
  const [, bracketed, plain, port] = SERVER.exec(written) ?? []
  const host = bracketed ?? plain
  const number = Number(port ?? usualPort)
  return host === undefined || number < 1 || number > 65_535 ? undefined : { host, port: number }
}
