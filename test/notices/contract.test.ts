import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { SMTPServer } from 'smtp-server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { command } from '../../src/notices/command.ts'
import { mail } from '../../src/notices/mail.ts'
import type { ShapeName } from '../../src/notices/shapes.ts'
import { webhook } from '../../src/notices/webhook.ts'
import { type NotifierBench, noticeOf, notifierContract, type Receiver } from '../contract/notifier.ts'
import { type KeyPair, opensslMissing, selfSigned, startWeb } from '../servers/web.ts'

const TOKEN = 'T000secretsecret'
const STATUS = { takes: 200, fails: 503, refuses: 404 } as const

interface Posted {
  readonly body: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

async function hook(receiver: Receiver, as: ShapeName = 'json'): Promise<NotifierBench & { readonly posts: readonly Posted[] }> {
  const posts: Posted[] = []
  const reached = Promise.withResolvers<void>()
  const server = await startWeb((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => {
      body += chunk
    })
    request.on('end', () => {
      posts.push({ body, headers: request.headers })
      reached.resolve()
      if (receiver !== 'hangs') response.writeHead(receiver === 'absent' ? 200 : STATUS[receiver]).end('no_service')
    })
  })
  if (receiver === 'absent') await server.close()
  const url = new URL(`/services/${TOKEN}?key=${TOKEN}`, server.url)
  return {
    notifier: webhook({ url: new Secret(url.href), as, headers: { authorization: new Secret(`Bearer ${TOKEN}`) } }),
    posts,
    received: () => posts.map(({ body }) => body),
    reached: reached.promise,
    secrets: [TOKEN],
    close: () => server.close(),
  }
}

notifierContract({ name: 'webhook', open: (receiver) => hook(receiver) })

describe('the shape of a webhook', () => {
  const posted = async (as: ShapeName, text: string): Promise<Posted> => {
    const bench = await hook('takes', as)
    await bench.notifier.send(noticeOf({ text, title: 'shop: Ärger' }), new AbortController().signal)
    await bench.notifier.close()
    await bench.close()
    const [post] = bench.posts
    if (post === undefined) throw new Error('nothing was posted')
    return post
  }

  it('is all that is known, as JSON, by default', async () => {
    expect(JSON.parse((await posted('json', 'text')).body)).toEqual(noticeOf({ text: 'text', title: 'shop: Ärger' }))
  })

  it('reads as plain text where one service would read a mention, a link or Markdown', async () => {
    const nasty = '<!channel> *bold* @everyone [x](https://evil.example)'

    expect(JSON.parse((await posted('slack', nasty)).body).text).toContain('&lt;!channel&gt;')
    const discord = JSON.parse((await posted('discord', nasty)).body)
    expect(discord).toMatchObject({ allowed_mentions: { parse: [] }, content: expect.stringContaining('\\*bold\\*') })
    expect(JSON.parse((await posted('teams', nasty)).body).attachments[0].content.body[1].text).toContain('\\[x\\]')
  })

  it('keeps to what the service takes', async () => {
    expect(JSON.parse((await posted('discord', 'x'.repeat(9000))).body).content.length).toBeLessThanOrEqual(2000)
    const { headers, body } = await posted('ntfy', 'the text')
    expect(headers).toMatchObject({ priority: '4', title: '=?UTF-8?B?c2hvcDogw4RyZ2Vy?=', authorization: `Bearer ${TOKEN}` })
    expect(body).toBe('the text')
  })
})

async function script(receiver: Receiver): Promise<NotifierBench & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'migrate-notice-'))
  const scripts: Readonly<Record<Receiver, string>> = {
    takes: `printf '%s\\n' "$MIGRATE_NOTICE_TITLE" >told; cat >>told # ${TOKEN}`,
    fails: `echo "queue full" >&2; exit 75 # ${TOKEN}`,
    refuses: '',
    hangs: `touch reached; trap '' TERM; sleep 600 # ${TOKEN}`,
    absent: `no-such-program --token ${TOKEN}`,
  }
  const until = async (): Promise<void> => {
    while (!existsSync(join(folder, 'reached'))) await wait(10)
  }
  const told: string[] = []
  const opened = command({ command: new Secret(scripts[receiver]), written: `tell --token \${TOKEN}`, directory: folder })
  return {
    notifier: {
      ...opened,
      send: async (notice, signal) => {
        await opened.send(notice, signal)
        told.push(await readFile(join(folder, 'told'), 'utf8'))
      },
    },
    folder,
    received: () => told,
    reached: receiver === 'hangs' ? until() : Promise.resolve(),
    secrets: [TOKEN],
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

notifierContract({ name: 'command', open: (receiver) => script(receiver), without: ['refuses'] })

describe('a command', () => {
  it('gets the message beside it, never within it', async () => {
    const { notifier, folder, close } = await script('takes')

    await notifier.send(noticeOf({ title: '$(touch one)', text: "`touch two`'; touch three; '" }), new AbortController().signal)

    expect(await readdir(folder)).toEqual(['told'])
    expect(await readFile(join(folder, 'told'), 'utf8')).toBe("$(touch one)\n`touch two`'; touch three; '\n")
    await close()
  })
})

describe.skipIf(opensslMissing !== null)(`mail${opensslMissing === null ? '' : ` (skipped: ${opensslMissing})`}`, () => {
  let pair: KeyPair
  beforeAll(() => {
    pair = selfSigned('127.0.0.1', 30)
  })
  const servers: SMTPServer[] = []
  afterAll(async () => {
    for (const server of servers) await new Promise<void>((resolve) => server.close(() => resolve()))
  })

  interface Post extends NotifierBench {
    readonly logins: readonly { readonly user: string; readonly secure: boolean }[]
  }

  async function mailbox(receiver: Receiver, tls: 'starttls' | 'implicit' = 'starttls', knowsTls = true): Promise<Post> {
    const mails: string[] = []
    const logins: { user: string; secure: boolean }[] = []
    const reached = Promise.withResolvers<void>()
    const server = new SMTPServer({
      ...pair,
      secure: tls === 'implicit',
      ...(knowsTls ? {} : { disabledCommands: ['STARTTLS'] }),
      onAuth: (auth, session, done) => {
        logins.push({ user: auth.username ?? '', secure: session.secure })
        if (auth.password === TOKEN) done(null, { user: auth.username })
        else done(new Error('wrong password'))
      },
      onData: (stream, _session, done) => {
        let text = ''
        stream.setEncoding('utf8')
        stream.on('data', (chunk: string) => {
          text += chunk
        })
        stream.on('end', () => {
          reached.resolve()
          if (receiver === 'hangs') return
          if (receiver === 'takes') mails.push(decoded(text))
          const error =
            receiver === 'takes' ? null : Object.assign(new Error('no'), { responseCode: receiver === 'fails' ? 451 : 554 })
          done(error)
        })
      },
    })
    server.on('error', () => undefined)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
    servers.push(server)
    const bound = server.server.address()
    const port = bound !== null && typeof bound === 'object' ? bound.port : 0
    if (receiver === 'absent') await new Promise<void>((resolve) => server.close(() => resolve()))
    const [user, password] = ['shop', new Secret(TOKEN)]
    return {
      notifier: mail({
        to: ['founder@shop.example'],
        from: 'migrate@shop.example',
        host: '127.0.0.1',
        port,
        tls,
        user,
        password,
        ca: pair.cert,
      }),
      logins,
      received: () => mails,
      reached: reached.promise,
      secrets: [TOKEN, Buffer.from(TOKEN).toString('base64')],
      close: async () => undefined,
    }
  }

  notifierContract({ name: 'mail', open: (receiver) => mailbox(receiver) })

  it('logs in under TLS only: a server without it is refused before the password is sent', async () => {
    const plain = await mailbox('takes', 'starttls', false)

    expect(await plain.notifier.check(new AbortController().signal)).toMatchObject([{ code: 'notice-channel-unreachable' }])
    await expect(plain.notifier.send(noticeOf(), new AbortController().signal)).rejects.toThrow(/TLS/)
    expect(plain.logins).toEqual([])
  })

  it('speaks TLS from the first byte with smtps', async () => {
    const secure = await mailbox('takes', 'implicit')

    await secure.notifier.send(noticeOf(), new AbortController().signal)

    expect(secure.logins).toEqual([{ user: 'shop', secure: true }])
    expect(secure.received()[0]).toContain('Auto-Submitted: auto-generated')
  })
})

/** Quoted-printable and encoded words read, well enough to look for words in them. */
function decoded(text: string): string {
  const bytes = text
    .replaceAll(/=\r?\n/g, '')
    .replaceAll(/(?:=[0-9A-F]{2})+/g, (run) => Buffer.from(run.replaceAll('=', ''), 'hex').toString('utf8'))
  return bytes
    .replaceAll(/=\?UTF-8\?B\?([^?]*)\?=/gi, (_, word: string) => Buffer.from(word, 'base64').toString('utf8'))
    .replaceAll(/=\?UTF-8\?Q\?([^?]*)\?=/gi, '$1')
}
