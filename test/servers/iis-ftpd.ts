import * as fs from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { nameBytes } from '../../src/files/raw-names.ts'
import { refusedByWindows } from '../../src/files/windows-names.ts'
import { BAD_NAME, DENIED, EXISTS, FULL, IN_USE, listed, MISSING, Refused, wordsFor } from './iis-words.ts'

/**
 * An FTP server that speaks as IIS 7 and later do, over a folder of this machine. Its answers are recorded ones: FEAT from [MS-FTPS], section
 * 4.2; the login, LIST in its MS-DOS style, 125/226, 229, 250 and 257 from sessions that people published; the words after 550 are Windows'
 * own (Microsoft Learn, "System Error Codes (0-499)"). Names fold case, may not hold what Windows refuses, and lose dots and spaces at
 * their end (Microsoft Learn, "Naming Files, Paths, and Namespaces"). MDTM only tells, MFMT and MLSD aren't known.
 */
export interface IisFtpd {
  readonly address: string
  readonly port: number
  /** Nobody may look into this path of the folder, relative to it. */
  denied: string | undefined
  /** What goes wrong with a renaming that could be done; paths as commands name them. */
  renaming: ((from: string, to: string) => 'refused' | 'cut' | undefined) | undefined
  /** Bytes that still fit on the disk. */
  room: number
  /** Every command so far, without what was given with it. */
  readonly commands: string[]
  /** Ends every control connection, as the server does with one that was silent for long; data connections go on. */
  hangUp(): void
  close(): Promise<void>
}

const FEATURES = ['LANG EN*', 'UTF8', 'AUTH TLS;SSL;', 'PBSZ', 'PROT C;P;', 'CCC', 'HOST', 'SIZE', 'MDTM', 'REST STREAM']
/** `shop` may write, `guest` only read; every password is taken. `lacks`: commands that it doesn't know, as behind some gateways. */
export async function startIisFtpd(folder: string, lacks: readonly string[] = []): Promise<IisFtpd> {
  const [sockets, controls] = [new Set<Socket>(), new Set<Socket>()]
  const state = {
    denied: undefined as string | undefined,
    renaming: undefined as IisFtpd['renaming'],
    room: Number.POSITIVE_INFINITY,
    commands: [] as string[],
    lacks,
  }
  const server = createServer((socket) => {
    sockets.add(socket)
    controls.add(socket)
    socket.on('close', () => sockets.delete(socket) && controls.delete(socket))
    new Session(folder, socket, state, sockets).begin()
  })
  const port = await listening(server)
  return Object.assign(state, {
    address: '127.0.0.1',
    port,
    hangUp: () => {
      for (const socket of controls) socket.end('421 Timeout (120 seconds): closing control connection.\r\n').destroySoon()
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

const listening = (server: Server): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (address !== null && typeof address === 'object') resolve(address.port)
    })
  })

type State = Pick<IisFtpd, 'denied' | 'renaming' | 'room' | 'commands'> & { readonly lacks: readonly string[] }

class Session {
  readonly #folder: string
  readonly #control: Socket
  readonly #state: State
  readonly #sockets: Set<Socket>
  #user = ''
  #at = '/'
  #restart = 0
  #from: string | undefined
  #data: Promise<Socket> | undefined
  #text = ''
  #queue: Promise<unknown> = Promise.resolve()

  constructor(folder: string, control: Socket, state: State, sockets: Set<Socket>) {
    this.#folder = folder
    this.#control = control
    this.#state = state
    this.#sockets = sockets
  }

  begin(): void {
    this.#control.on('error', () => this.#control.destroy())
    this.#say('220 Microsoft FTP Service')
    this.#control.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#text + text).split('\r\n')
      this.#text = lines.pop() ?? ''
      for (const line of lines) this.#queue = this.#queue.then(() => this.#obey(line)).catch(() => this.#control.destroy())
    })
  }

  #say(...lines: readonly string[]): void {
    this.#control.write(`${lines.join('\r\n')}\r\n`)
  }

  async #obey(line: string): Promise<void> {
    const [, name = '', given = ''] = /^(\S+) ?(.*)$/s.exec(line) ?? []
    const command = name.toUpperCase()
    this.#state.commands.push(command)
    const work = this.#commands[command]
    if (work === undefined || this.#state.lacks.includes(command)) return this.#say('500 Command not understood.')
    try {
      await work(given)
    } catch (error) {
      this.#say(wordsFor(error))
    }
  }

  readonly #commands: Readonly<Record<string, (given: string) => void | Promise<void>>> = {
    USER: (user) => {
      this.#user = user
      this.#say('331 Password required')
    },
    PASS: () => this.#say('230 User logged in.'),
    FEAT: () => {
      const known = FEATURES.filter((each) => !this.#state.lacks.includes(each.split(' ')[0] ?? ''))
      this.#say('211-Extended features supported:', ...known.map((each) => ` ${each}`), '211 END')
    },
    SYST: () => this.#say('215 Windows_NT'),
    OPTS: (given) =>
      this.#say(
        /^utf8 on$/i.test(given) ? '200 OPTS UTF8 command successful - UTF8 encoding now ON.' : '501 Option not supported.',
      ),
    TYPE: (type) => this.#say(`200 Type set to ${type}.`),
    STRU: () => this.#say('200 STRU F ok.'),
    NOOP: () => this.#say('200 noop command successful.'),
    PWD: () => this.#say(`257 "${this.#at}" is current directory.`),
    SITE: () =>
      this.#say(
        "214-The following SITE commands are recognized(* ==>'s unimplemented).",
        ' DIRSTYLE',
        ' HELP',
        '214 HELP command successful.',
      ),
    QUIT: () => void this.#control.end('221 Goodbye.\r\n'),
    EPSV: () => this.#passive(),
    CWD: (path) => {
      const full = this.#find(path)
      if (!fs.statSync(nameBytes(full)).isDirectory()) return this.#say('550 The directory name is invalid.')
      this.#at = this.#virtual(path)
      this.#say('250 CWD command successful.')
    },
    SIZE: (path) => {
      const stats = fs.statSync(nameBytes(this.#find(path)))
      this.#say(stats.isFile() ? `213 ${stats.size}` : DENIED)
    },
    MDTM: (path) =>
      this.#say(`213 ${new Date(fs.statSync(nameBytes(this.#find(path))).mtimeMs).toISOString().replaceAll(/[-:TZ]/g, '')}`),
    REST: (offset) => {
      this.#restart = Number(offset)
      this.#say(`350 Restarting at ${offset}.`)
    },
    LIST: (given) => this.#list(given),
    RETR: (path) => this.#send(path),
    STOR: (path) => this.#receive(path, 'w'),
    APPE: (path) => this.#receive(path, 'a'),
    DELE: (path) => this.#change(() => fs.unlinkSync(nameBytes(this.#find(path))), '250 DELE command successful.'),
    RMD: (path) => this.#change(() => fs.rmdirSync(nameBytes(this.#find(path))), '250 RMD command successful.'),
    MKD: (path) =>
      this.#change(() => fs.mkdirSync(nameBytes(this.#find(path, true))), `257 "${this.#virtual(path)}" directory created.`),
    RNFR: (path) =>
      this.#change(() => {
        this.#from = this.#find(path)
      }, '350 Requested file action pending further information.'),
    RNTO: (path) => {
      const to = this.#find(path, true)
      if (fs.existsSync(nameBytes(to))) return this.#say(EXISTS)
      const wrong = this.#state.renaming?.((this.#from ?? '').slice(this.#folder.length), to.slice(this.#folder.length))
      if (wrong === 'refused') return this.#say(IN_USE)
      if (wrong === 'cut') return void this.#control.destroy()
      this.#change(() => fs.renameSync(nameBytes(this.#from ?? ''), nameBytes(to)), '250 RNTO command successful.')
    },
  }

  #change(work: () => unknown, said: string): void {
    if (this.#user === 'guest') throw new Refused(DENIED)
    work()
    this.#say(said)
  }

  #virtual(path: string): string {
    const parts: string[] = []
    for (const part of (path.startsWith('/') ? path : `${this.#at}/${path}`).split(/[/\\]/)) {
      if (part === '..') parts.pop()
      else if (part !== '' && part !== '.') parts.push(part)
    }
    return `/${parts.join('/')}`
  }

  /** Where a path is on this machine: case folded, as Windows takes it. `isNew`: its last part needn't be there. */
  #find(path: string, isNew = false): string {
    let at = this.#folder
    const parts = this.#virtual(path)
      .split('/')
      .filter((part) => part !== '')
    for (const [index, given] of parts.entries()) {
      const part = given.replace(/[. ]+$/, '') || given
      if (refusedByWindows(part) !== undefined) throw new Refused(BAD_NAME)
      const names = fs.existsSync(nameBytes(at)) ? fs.readdirSync(nameBytes(at), 'utf8') : []
      const found = names.find((name) => name.toLowerCase() === part.toLowerCase())
      if (found === undefined && !(isNew && index === parts.length - 1))
        throw new Refused(index < parts.length - 1 ? '550 The system cannot find the path specified.' : MISSING)
      at = join(at, found ?? part)
      if (this.#state.denied !== undefined && at === join(this.#folder, this.#state.denied)) throw new Refused(DENIED)
    }
    return at
  }

  async #passive(): Promise<void> {
    const server = createServer()
    this.#data = new Promise((resolve) =>
      server.once('connection', (socket) => {
        server.close()
        socket.on('error', () => socket.destroy())
        this.#sockets.add(socket)
        socket.on('close', () => this.#sockets.delete(socket))
        resolve(socket)
      }),
    )
    const close = (): void => void server.close()
    this.#control.once('close', close)
    server.once('close', () => this.#control.removeListener('close', close))
    this.#say(`229 Entering Extended Passive Mode (|||${await listening(server)}|)`)
  }

  async #list(given: string): Promise<void> {
    const full = this.#find(given.startsWith('-') ? '' : given)
    const lines = fs.readdirSync(nameBytes(full)).map((name) => listed(name, fs.statSync(nameBytes(join(full, name)))))
    this.#say('125 Data connection already open; Transfer starting.')
    const data = await this.#data
    await new Promise<void>((resolve) =>
      data
        ?.once('close', resolve)
        .end(lines.map((line) => `${line}\r\n`).join(''))
        .resume(),
    )
    this.#say('226 Transfer complete.')
  }

  async #send(path: string): Promise<void> {
    const full = this.#find(path)
    if (!fs.statSync(nameBytes(full)).isFile()) return this.#say(DENIED)
    const start = this.#restart
    this.#restart = 0
    this.#say('150 Opening BINARY mode data connection.')
    const data = await this.#data
    const isWhole = await new Promise<boolean>((resolve) => {
      const file = fs.createReadStream(nameBytes(full), { start })
      data?.once('close', () => resolve(data.writableFinished)).resume()
      if (data !== undefined) file.pipe(data)
    })
    this.#say(isWhole ? '226 Transfer complete.' : '426 Connection closed; transfer aborted.')
  }

  async #receive(path: string, flag: 'w' | 'a'): Promise<void> {
    const full = this.#find(path, true)
    if (this.#user === 'guest') return this.#say(DENIED)
    if (!fs.existsSync(nameBytes(dirname(full)))) return this.#say('550 The system cannot find the path specified.')
    const file = fs.openSync(nameBytes(full), flag)
    this.#say('125 Data connection already open; Transfer starting.')
    try {
      const data = await this.#data
      for await (const chunk of (data ?? []) as AsyncIterable<Buffer>) {
        this.#state.room -= chunk.length
        if (this.#state.room < 0) throw new Refused(FULL)
        fs.writeSync(file, chunk)
      }
      this.#say('226 Transfer complete.')
    } catch (error) {
      this.#say(error instanceof Refused ? error.message : '426 Connection closed; transfer aborted.')
    } finally {
      fs.closeSync(file)
    }
  }
}
