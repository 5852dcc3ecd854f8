import { createServer, type Server, type Socket } from 'node:net'
import { Readable } from 'node:stream'

/** What a server says to a command: the answer itself, or what gives it; nothing at all when that is `undefined`. */
export type Reply = string | ((given: string, talk: Talk) => string | undefined | Promise<string | undefined>)
export type Script = Readonly<Record<string, Reply>>

/** One control connection, as a reply sees it. */
export interface Talk {
  readonly control: Socket
  /** Opens a port for one data connection on this address. */
  listen(address?: string): Promise<number>
  /** Says that a transfer begins, sends all of it, ends it, and gives the last word about it. */
  send(content: string | AsyncIterable<string>, lastWord?: string): Promise<string>
  /** The same of one that takes what the client sends, which `took` is given. */
  take(took: (bytes: Buffer) => void): Promise<string>
}

/** An FTP server that says what a test has it say, and to all else what any server would; it has no files. */
export interface ScriptedFtpd {
  readonly address: string
  readonly port: number
  /** Every line so far. */
  readonly heard: string[]
  /** Replies from now on, in place of those with the same names. */
  answer(script: Script): void
  /** Ends every control connection with these words. */
  hangUp(words: string): void
  close(): Promise<void>
}

const features = (names: readonly string[]): string =>
  ['211-Features:', ...names.map((name) => ` ${name}`), '211 End'].join('\r\n')

/** `script`: replies by command; `features`: what FEAT names. */
export async function startScriptedFtpd(script: Script, known: readonly string[] = []): Promise<ScriptedFtpd> {
  const [sockets, controls] = [new Set<Socket>(), new Set<Socket>()]
  const servers = new Set<Server>()
  const heard: string[] = []
  const replies: Record<string, Reply> = { ...USUAL, FEAT: features(known), ...script }
  const keep = (socket: Socket): void => {
    sockets.add(socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket)))
  }
  const server = createServer((control) => {
    keep(control)
    controls.add(control)
    const talk = new Conversation(control, keep, servers)
    control.write('220 Ready\r\n')
    let [text, queue] = ['', Promise.resolve()]
    control.setEncoding('latin1').on('data', (chunk: string) => {
      // Encryption begins: random bytes, which may hold the end of a line.
      if (talk.isEncrypted) return
      const lines = (text + chunk).split('\r\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        heard.push(line)
        queue = queue.then(() => obey(line, talk, replies))
      }
    })
  })
  const port = await listening(server, '127.0.0.1')
  return {
    address: '127.0.0.1',
    port,
    heard,
    answer: (more) => void Object.assign(replies, more),
    hangUp: (words) => {
      for (const control of controls) control.end(`${words}\r\n`).destroySoon()
      controls.clear()
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      for (const each of [...servers, server]) await new Promise((resolve) => each.close(resolve))
    },
  }
}

const USUAL: Script = {
  USER: '331 Password required',
  PASS: '230 Logged in',
  SYST: '215 UNIX Type: L8',
  TYPE: '200 OK',
  STRU: '200 OK',
  OPTS: '200 OK',
  PWD: '257 "/" is the folder',
  CWD: '250 OK',
  NOOP: '200 OK',
  QUIT: '221 Goodbye',
  EPSV: async (_given, talk) => `229 Entering Extended Passive Mode (|||${await talk.listen()}|)`,
}

/** What AUTH is answered (RFC 4217, section 4); all that comes then is no command. */
const ENCRYPTION_BEGINS = '234'

async function obey(line: string, talk: Conversation, replies: Script): Promise<void> {
  const [, name = '', given = ''] = /^(\S+) ?(.*)$/s.exec(line) ?? []
  const reply = replies[name.toUpperCase()] ?? '502 Not implemented'
  const answer = typeof reply === 'string' ? reply : await reply(given, talk)
  if (answer === undefined || talk.control.destroyed) return
  if (answer.startsWith(ENCRYPTION_BEGINS)) talk.isEncrypted = true
  talk.control.write(`${answer}\r\n`)
}

class Conversation implements Talk {
  readonly control: Socket
  isEncrypted = false
  readonly #keep: (socket: Socket) => void
  readonly #servers: Set<Server>
  #data: Promise<Socket> | undefined

  constructor(control: Socket, keep: (socket: Socket) => void, servers: Set<Server>) {
    this.control = control
    this.#keep = keep
    this.#servers = servers
  }

  listen(address = '127.0.0.1'): Promise<number> {
    const server = createServer()
    this.#servers.add(server)
    this.#data = new Promise((resolve) =>
      server.once('connection', (socket) => {
        server.close(() => this.#servers.delete(server))
        this.#keep(socket)
        resolve(socket)
      }),
    )
    return listening(server, address)
  }

  async send(content: string | AsyncIterable<string>, lastWord = '226 Transfer complete'): Promise<string> {
    const data = await this.#data
    if (data === undefined) return '425 No data connection'
    this.control.write('150 Here it comes\r\n')
    const closed = new Promise<void>((resolve) => data.resume().once('close', () => resolve()))
    Readable.from(typeof content === 'string' ? [content] : content).pipe(data)
    await closed
    return lastWord
  }

  async take(took: (bytes: Buffer) => void): Promise<string> {
    const data = await this.#data
    if (data === undefined) return '425 No data connection'
    this.control.write('150 Go on\r\n')
    const chunks: Buffer[] = []
    for await (const chunk of data as AsyncIterable<Buffer>) chunks.push(chunk)
    took(Buffer.concat(chunks))
    return '226 Transfer complete'
  }
}

const listening = (server: Server, address: string): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject).listen(0, address, () => {
      const bound = server.address()
      if (bound !== null && typeof bound === 'object') resolve(bound.port)
    })
  })
