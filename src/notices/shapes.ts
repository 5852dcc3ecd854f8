import type { Notice } from '../base/notice.ts'

/** What one kind of receiver wants to be sent. */
export interface Shape {
  /** For people: "Slack". */
  readonly name: string
  /** True for the addresses of this service: it needn't be named then. */
  readonly isAt: (host: string) => boolean
  readonly body: (notice: Notice) => {
    readonly type: string
    readonly body: string
    readonly headers?: Readonly<Record<string, string>>
  }
}

const json = (value: unknown) => ({ type: 'application/json', body: JSON.stringify(value) })
const within = (host: string, domain: string): boolean => host === domain || host.endsWith(`.${domain}`)

/** Discord takes 2,000 characters, Slack cuts beyond 40,000, Teams takes 28 KB. */
const clipped = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text)

const MARKS = { error: '🔴', warning: '🟠', info: '🟢' } as const
const PRIORITIES = { error: '5', warning: '4', info: '3' } as const

/** A bold first line and the whole below it, where both differ. */
const lines = ({ title, text, severity }: Notice, bold: string, plainly: (text: string) => string): string =>
  `${MARKS[severity]} ${bold}${plainly(title)}${bold}${text === title ? '' : `\n${plainly(text)}`}`

/** Slack's control characters (api.slack.com, "Formatting text for app surfaces"): nothing in a message is read as a mention or a link. */
const forSlack = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
/** Discord's and Teams' Markdown. */
const forMarkdown = (text: string): string => text.replaceAll(/([\\`*_~|[\]<>])/g, '\\$1')
/** A header's value (RFC 9110, 5.5): no line breaks, and what isn't ASCII as RFC 2047 has it, which ntfy reads. */
const headerText = (text: string): string => {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return /^[\x20-\x7e]*$/.test(line) ? line : `=?UTF-8?B?${Buffer.from(line).toString('base64')}?=`
}

/** Adding a service = one entry. */
export const shapes = {
  json: { name: 'webhook', isAt: () => false, body: (notice) => json(notice) },
  text: {
    name: 'webhook',
    isAt: () => false,
    body: ({ title, text }) => ({ type: 'text/plain; charset=utf-8', body: text === title ? title : `${title}\n\n${text}` }),
  },
  slack: {
    name: 'Slack',
    isAt: (host) => within(host, 'hooks.slack.com'),
    body: (notice) => json({ text: clipped(lines(notice, '*', forSlack), 35_000) }),
  },
  mattermost: {
    name: 'Mattermost',
    isAt: () => false,
    body: (notice) => json({ text: clipped(lines(notice, '**', forMarkdown), 16_000) }),
  },
  discord: {
    name: 'Discord',
    isAt: (host) => within(host, 'discord.com') || within(host, 'discordapp.com'),
    body: (notice) => json({ content: clipped(lines(notice, '**', forMarkdown), 2000), allowed_mentions: { parse: [] } }),
  },
  teams: {
    name: 'Teams',
    isAt: (host) => within(host, 'webhook.office.com') || within(host, 'logic.azure.com') || within(host, 'powerplatform.com'),
    body: ({ title, text, severity }) =>
      json({
        type: 'message',
        attachments: [
          {
            contentType: 'application/vnd.microsoft.card.adaptive',
            content: {
              $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
              type: 'AdaptiveCard',
              version: '1.4',
              body: [
                { type: 'TextBlock', weight: 'Bolder', wrap: true, text: `${MARKS[severity]} ${forMarkdown(title)}` },
                ...(text === title ? [] : [{ type: 'TextBlock', wrap: true, text: clipped(forMarkdown(text), 20_000) }]),
              ],
            },
          },
        ],
      }),
  },
  ntfy: {
    name: 'ntfy',
    isAt: (host) => within(host, 'ntfy.sh'),
    body: ({ title, text, severity }) => ({
      type: 'text/plain; charset=utf-8',
      body: clipped(text, 4000),
      headers: { title: headerText(title), priority: PRIORITIES[severity] },
    }),
  },
} as const satisfies Readonly<Record<string, Shape>>

export type ShapeName = keyof typeof shapes

/** The shape that an address asks for by itself; `json` for any other. */
export function shapeFor(url: URL): ShapeName {
  const names = Object.keys(shapes) as ShapeName[]
  return names.find((name) => shapes[name].isAt(url.hostname)) ?? 'json'
}
