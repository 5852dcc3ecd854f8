import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { Secret } from '../base/secret.ts'
import type { Notifier } from '../notices/port.ts'
import { type ShapeName, shapeFor, shapes } from '../notices/shapes.ts'
import { checked } from './issues.ts'
import { absolute, kept, passwordOf, type Reading, urlAt } from './reading.ts'
import type { Path, Value } from './source.ts'

/** Makes the channel of one hook; nothing connects before it is used. */
export type OpenChannel = () => Promise<Notifier>

/** A way to tell people: what it takes in a playbook beside the keys that every hook has, and how it is made from that. */
interface Channel {
  readonly shape: z.ZodRawShape
  read(value: Value, path: Path, reading: Reading): OpenChannel | undefined
}

const text = z.string().min(1)
const ADDRESS = /^(?:[^<>@]*<)?[^\s@<>"]+@[^\s@<>"]+>?$/

function channel<S extends z.ZodRawShape>(
  shape: S,
  open: (given: z.infer<z.ZodObject<S>>, path: Path, reading: Reading) => OpenChannel | undefined,
): Channel {
  return {
    shape,
    read: (value, path, reading) => {
      const given = checked(z.object(shape), value, path, reading.source)
      return given === undefined ? undefined : open(given, path, reading)
    },
  }
}

const authority = (ca: string | undefined, { directory }: Reading): (() => Promise<string | undefined>) => {
  const file = ca === undefined ? undefined : absolute(ca, directory)
  return async () => (file === undefined ? undefined : await readFile(file, 'utf8'))
}

const ca = text.optional().meta({ description: 'Path of the PEM file with a further authority to trust' })

/** Adding a channel = its file in notices/, and an entry here. The key's name is the channel's. */
export const channels: Readonly<Record<string, Channel>> = {
  webhook: channel(
    {
      webhook: text.meta({ description: 'A secret: the address to which each message is posted' }),
      as: z
        .enum(Object.keys(shapes) as [ShapeName, ...ShapeName[]])
        .optional()
        .meta({ description: 'What the receiver takes; told by the address of Slack, Discord, Teams and ntfy.sh, else json' }),
      headers: z.record(z.string(), text).optional().meta({ description: 'Secrets: further headers, such as Authorization' }),
      ca,
    },
    ({ webhook, as, headers = {}, ca }, path, reading) => {
      const url = URL.canParse(webhook) ? new URL(webhook) : undefined
      if (url === undefined || !/^https?:$/.test(url.protocol))
        return reading.source.complain(
          [...path, 'webhook'],
          'This is no web address.',
          'Write it like https://hooks.example.com/…',
        )
      keepAddress(url, webhook, reading)
      const secrets = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, kept(value, reading.redactor)]))
      const trusted = authority(ca, reading)
      return async () => {
        const { webhook: open } = await import('../notices/webhook.ts')
        return open({ url: new Secret(url.href), as: as ?? shapeFor(url), headers: secrets, ca: await trusted() })
      }
    },
  ),
  command: channel(
    {
      command: text.meta({
        description:
          'A command on this machine, with the message on its standard input and in MIGRATE_NOTICE_TITLE, _TEXT, _SEVERITY …',
      }),
    },
    ({ command }, path, { source, directory }) => {
      const written = source.entry([...path, 'command'])?.raw ?? command
      return async () => (await import('../notices/command.ts')).command({ command: new Secret(command), written, directory })
    },
  ),
  mail: channel(
    {
      mail: z.union([text, z.array(text).min(1)]).meta({ description: 'Who gets it: founder@shop.example, or a list' }),
      from: text.meta({ description: 'The address that it comes from' }),
      server: text.meta({ description: 'smtp://user@smtp.example.com (STARTTLS, port 587) or smtps://… (TLS, port 465)' }),
      password: text
        .optional()
        .meta({ description: `A secret: \${NAME} takes it from the environment, \${file:PATH} from a file` }),
      ca,
    },
    readMailHook,
  ),
}

/** The address with all that is particular about it: whoever has it may post. */
function keepAddress(url: URL, written: string, { redactor }: Reading): void {
  kept(written, redactor)
  kept(url.href, redactor)
  kept(url.pathname + url.search, redactor)
  for (const part of url.pathname.split('/')) if (part.length >= SECRET_LENGTH) kept(part, redactor)
  for (const value of url.searchParams.values()) if (value.length >= SECRET_LENGTH) kept(value, redactor)
  if (url.password !== '') kept(decodeURIComponent(url.password), redactor)
}
/** A shorter part may be a word that has a meaning elsewhere. */
const SECRET_LENGTH = 12

const PORTS = { smtp: 587, smtps: 465 } as const

interface MailGiven {
  readonly mail: string | readonly string[]
  readonly from: string
  readonly server: string
  readonly password?: string | undefined
  readonly ca?: string | undefined
}

function readMailHook({ mail, from, server, password, ca }: MailGiven, path: Path, reading: Reading): OpenChannel | undefined {
  const { source } = reading
  const to = [mail].flat()
  for (const [index, address] of to.entries())
    if (!ADDRESS.test(address))
      source.complain(
        [...path, 'mail', ...(Array.isArray(mail) ? [index] : [])],
        'This is no mail address.',
        'Write it like founder@shop.example.',
      )
  if (!ADDRESS.test(from)) source.complain([...path, 'from'], 'This is no mail address.', 'Write it like migrate@shop.example.')
  const at = [...path, 'server']
  const url = source.broken(at) ? undefined : urlAt(server, at, source)
  if (url === undefined) return undefined
  const scheme = url.scheme === 'smtp' || url.scheme === 'smtps' ? url.scheme : undefined
  if (scheme === undefined) return source.complain(at, 'This is no mail server.', 'Write it like smtp://user@smtp.example.com.')
  const { host, port = PORTS[scheme], user } = url
  const secret = passwordOf(url, password, path, reading)
  if (user === undefined && secret !== undefined)
    return source.complain(at, 'There is a password, but no user.', 'Write it like smtp://user@smtp.example.com.')
  // A login is never sent in the clear.
  const tls = scheme === 'smtps' ? 'implicit' : user === undefined ? 'offered' : 'starttls'
  const trusted = authority(ca, reading)
  return async () =>
    (await import('../notices/mail.ts')).mail({ to, from, host, port, tls, user, password: secret, ca: await trusted() })
}
