import * as fs from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { nameBytes } from '../../src/files/raw-names.ts'
import { IisFolder, listed, Refused, wordsFor } from './iis-folder.ts'
import { iisReply, iisWords } from './iis-replies.ts'

/**
 * An FTP server that speaks as IIS does, over a folder of this machine. What it says is in test/recordings/iis-ftp-replies.json, each with
 * where it was seen. From sessions that people published: the greeting, the login, FEAT of IIS 7 and later with and without UTF-8 and of IIS
 * 6, OPTS, SYST, TYPE, PWD, CWD, EPSV, PASV, 125, 150 and 226, MKD, RMD, DELE, RNFR, RNTO, SIZE, QUIT, unknown commands, and the
 * forms of 550: in a line, in detail (to clients of its own network), and with the path before it (IIS 6). From documents alone: the answers
 * to NOOP, STRU, SITE HELP, REST and MDTM, 421 and 426, and Windows' words for what those sessions didn't meet. LIST is in the MS-DOS style, as in those
 * sessions. Names fold case, may not hold what Windows refuses, and lose dots and spaces at their end (Microsoft Learn, "Naming Files, Paths,
 * and Namespaces"). MDTM only tells, MFMT and MLSD aren't known.
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
  /** The same, without a word. */
  drop(): void
  close(): Promise<void>
}

/** Which IIS it is. */
export interface IisManner {
  /** IIS 6 knows no EPSV and no UTF-8. */
  readonly version?: 6 | 7
  /** Errors are told in detail, as to clients of its own network. */
  readonly inDetail?: boolean
  readonly utf8?: boolean
  /** A shared host greets by itself. */
  readonly welcome?: string
  /** Commands that it doesn't know, as behind some gateways. */
  readonly lacks?: readonly string[]
}

/** `shop` may write, `guest` only read; every password is taken. */
export async function startIisFtpd(folder: string, manner: IisManner = {}): Promise<IisFtpd> {
  const [sockets, controls] = [new Set<Socket>(), new Set<Socket>()]
  const state = {
    denied: undefined as string | undefined,
    renaming: undefined as IisFtpd['renaming'],
    room: Number.POSITIVE_INFINITY,
    commands: [] as string[],
  }
  const server = createServer((socket) => {
    sockets.add(socket)
    controls.add(socket)
    socket.on('close', () => sockets.delete(socket) && controls.delete(socket))
    new Session(folder, socket, state, sockets, manner).begin()
  })
  const port = await listening(server)
  return Object.assign(state, {
    address: '127.0.0.1',
    port,
    hangUp: () => {
      for (const socket of controls) socket.end(`${iisReply('idle').join('\r\n')}\r\n`).destroySoon()
    },
    drop: () => {
      for (const socket of controls) socket.destroy()
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

type State = Pick<IisFtpd, 'denied' | 'renaming' | 'room' | 'commands'>

class Session {
  readonly #files: IisFolder
  readonly #control: Socket
  readonly #state: State
  readonly #sockets: Set<Socket>
  readonly #manner: IisManner
  #user = ''
  #at = '/'
  #restart = 0
  #from: string | undefined
  #data: Promise<Socket> | undefined
  #text = ''
  #queue: Promise<unknown> = Promise.resolve()

  constructor(folder: string, control: Socket, state: State, sockets: Set<Socket>, manner: IisManner) {
    this.#files = new IisFolder(folder, () => state.denied)
    this.#control = control
    this.#state = state
    this.#sockets = sockets
    this.#manner = manner
  }

  begin(): void {
    this.#control.on('error', () => this.#control.destroy())
    this.#say(this.#manner.welcome === undefined ? 'greeting' : 'noGreeting')
    this.#control.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#text + text).split('\r\n')
      this.#text = lines.pop() ?? ''
      for (const line of lines) this.#queue = this.#queue.then(() => this.#obey(line)).catch(() => this.#control.destroy())
    })
  }

  #say(name: string, ...given: readonly string[]): void {
    this.#control.write(`${iisReply(name, ...given).join('\r\n')}\r\n`)
  }

  get #isOld(): boolean {
    return this.#manner.version === 6
  }

  #lacks(command: string): boolean {
    return (this.#isOld && UNKNOWN_TO_6.has(command)) || this.#manner.lacks?.includes(command) === true
  }

  #refuse(words: string, path: string): void {
    const form = this.#isOld ? 'refused6' : this.#manner.inDetail === true ? 'refusedInDetail' : 'refused'
    this.#say(form, iisWords(words), path)
  }

  async #obey(line: string): Promise<void> {
    const [, name = '', given = ''] = /^(\S+) ?(.*)$/s.exec(line) ?? []
    const command = name.toUpperCase()
    this.#state.commands.push(command)
    const work = this.#lacks(command) ? undefined : this.#commands[command]
    if (work === undefined) return this.#isOld ? this.#say('unknown6', line) : this.#say('unknown')
    try {
      await work(given)
    } catch (error) {
      this.#refuse(wordsFor(error), given)
    }
  }

  readonly #commands: Readonly<Record<string, (given: string) => void | Promise<void>>> = {
    USER: (user) => {
      this.#user = user
      this.#say(this.#isOld ? 'user6' : 'user', user)
    },
    PASS: () => {
      const { welcome } = this.#manner
      if (welcome !== undefined) this.#say('welcome', welcome)
      else this.#say(this.#isOld ? 'pass6' : 'pass', this.#user)
    },
    FEAT: () => {
      const known = iisReply(this.#isOld ? 'features6' : this.#manner.utf8 === false ? 'featuresWithoutUtf8' : 'features')
      const isLacking = (line: string): boolean => this.#lacks(line.trim().split(' ')[0] ?? '')
      this.#control.write(`${known.filter((line) => !isLacking(line)).join('\r\n')}\r\n`)
    },
    SYST: () => this.#say('system'),
    OPTS: (given) => this.#say(/^utf8 on$/i.test(given) && this.#manner.utf8 !== false ? 'utf8' : 'noOption'),
    TYPE: (type) => this.#say('type', type),
    STRU: () => this.#say('structure'),
    NOOP: () => this.#say('noop'),
    PWD: () => this.#say('where', this.#at),
    SITE: () => this.#say('siteHelp'),
    QUIT: () => {
      this.#say('goodbye')
      this.#control.end()
    },
    EPSV: async () => this.#say('extendedPassive', `${await this.#passive()}`),
    PASV: async () => {
      const port = await this.#passive()
      this.#say('passive', `127,0,0,1,${port >> 8},${port & 255}`)
    },
    CWD: (path) => {
      const full = this.#files.find(path, this.#at)
      if (!fs.statSync(nameBytes(full)).isDirectory()) throw new Refused('noFolder')
      this.#at = this.#files.virtual(path, this.#at)
      this.#say('entered')
    },
    SIZE: (path) => {
      const stats = fs.statSync(nameBytes(this.#files.find(path, this.#at)))
      if (!stats.isFile()) throw new Refused('denied')
      this.#say('size', `${stats.size}`)
    },
    MDTM: (path) => {
      const { mtimeMs } = fs.statSync(nameBytes(this.#files.find(path, this.#at)))
      this.#say('time', new Date(mtimeMs).toISOString().replaceAll(/[-:TZ]/g, ''))
    },
    REST: (offset) => {
      this.#restart = Number(offset)
      this.#say('restart', offset)
    },
    LIST: (given) => this.#list(given),
    RETR: (path) => this.#send(path),
    STOR: (path) => this.#receive(path, 'w'),
    APPE: (path) => this.#receive(path, 'a'),
    DELE: (path) => this.#change(() => fs.unlinkSync(nameBytes(this.#files.find(path, this.#at))), 'removed'),
    RMD: (path) => this.#change(() => fs.rmdirSync(nameBytes(this.#files.find(path, this.#at))), 'folderRemoved'),
    MKD: (path) => this.#change(() => fs.mkdirSync(nameBytes(this.#files.find(path, this.#at, true))), 'made', path),
    RNFR: (path) =>
      this.#change(() => {
        this.#from = this.#files.find(path, this.#at)
      }, 'renaming'),
    RNTO: (path) => {
      const to = this.#files.find(path, this.#at, true)
      if (fs.existsSync(nameBytes(to))) throw new Refused('exists')
      const wrong = this.#state.renaming?.(this.#files.within(this.#from ?? ''), this.#files.within(to))
      if (wrong === 'refused') throw new Refused('inUse')
      if (wrong === 'cut') return void this.#control.destroy()
      this.#change(() => fs.renameSync(nameBytes(this.#from ?? ''), nameBytes(to)), 'renamed')
    },
  }

  #change(work: () => unknown, said: string, ...given: readonly string[]): void {
    if (this.#user === 'guest') throw new Refused('denied')
    work()
    this.#say(said, ...given)
  }

  async #passive(): Promise<number> {
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
    return listening(server)
  }

  async #list(given: string): Promise<void> {
    const full = this.#files.find(given.startsWith('-') ? '' : given, this.#at)
    const lines = fs.readdirSync(nameBytes(full)).map((name) => listed(name, fs.statSync(nameBytes(join(full, name)))))
    this.#say('begins')
    const data = await this.#data
    await new Promise<void>((resolve) =>
      data
        ?.once('close', resolve)
        .end(lines.map((line) => `${line}\r\n`).join(''))
        .resume(),
    )
    this.#say('done')
  }

  async #send(path: string): Promise<void> {
    const full = this.#files.find(path, this.#at)
    if (!fs.statSync(nameBytes(full)).isFile()) throw new Refused('denied')
    const start = this.#restart
    this.#restart = 0
    this.#say('sends')
    const data = await this.#data
    const isWhole = await new Promise<boolean>((resolve) => {
      const file = fs.createReadStream(nameBytes(full), { start })
      data?.once('close', () => resolve(data.writableFinished)).resume()
      if (data !== undefined) file.pipe(data)
    })
    this.#say(isWhole ? 'done' : 'broken')
  }

  async #receive(path: string, flag: 'w' | 'a'): Promise<void> {
    const full = this.#files.find(path, this.#at, true)
    if (this.#user === 'guest') throw new Refused('denied')
    if (!fs.existsSync(nameBytes(dirname(full)))) throw new Refused('missingPath')
    const file = fs.openSync(nameBytes(full), flag)
    this.#say('begins')
    try {
      const data = await this.#data
      for await (const chunk of (data ?? []) as AsyncIterable<Buffer>) {
        this.#state.room -= chunk.length
        if (this.#state.room < 0) throw new Refused('full')
        fs.writeSync(file, chunk)
      }
      this.#say('done')
    } catch (error) {
      if (error instanceof Refused) throw error
      this.#say('broken')
    } finally {
      fs.closeSync(file)
    }
  }
}

/** What IIS 6 is silent about in FEAT, and answers with 500. */
const UNKNOWN_TO_6: ReadonlySet<string> = new Set(['EPSV', 'OPTS'])
