import { createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../../src/base/secret.ts'
import { Connections } from '../../src/databases/mssql/connection.ts'
import { openMssql } from '../../src/databases/mssql/index.ts'
import type { Session } from '../../src/databases/mssql/session.ts'
import { failureOf } from '../contract/database-kit.ts'
import { doneReply, errorReply, LOGIN7, loginReply, MessageReader, PRELOGIN, plainPrelogin } from '../servers/tds-messages.ts'

/** What a server does with a login that is one too many: says an error's number, or closes the line without a word. */
type Refusal = number | 'closes'

interface SmallServer {
  readonly port: number
  /** The most that were logged in at a time. */
  readonly most: () => number
  close(): Promise<void>
}

/** Speaks TDS as far as that: `room` logins at a time, and every statement is done. */
async function startSmall(room: number, refusal: Refusal): Promise<SmallServer> {
  const sockets = new Set<Socket>()
  const loggedIn = new Set<Socket>()
  let most = 0
  const server = createServer((socket) => {
    sockets.add(socket)
    const reader = new MessageReader()
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      sockets.delete(socket)
      loggedIn.delete(socket)
    })
    const logIn = (): void => {
      if (loggedIn.size < room) {
        loggedIn.add(socket)
        most = Math.max(most, loggedIn.size)
        socket.write(loginReply())
      } else if (refusal === 'closes') socket.destroy()
      else socket.write(errorReply('The limit has been reached.', refusal))
    }
    socket.on('data', (chunk) => {
      for (const { type } of reader.take(chunk)) {
        if (type === PRELOGIN) socket.write(plainPrelogin())
        else if (type === LOGIN7) logIn()
        else socket.write(doneReply())
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The server has no port.')
  return {
    port: address.port,
    most: () => most,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

const optionsFor = (port: number) => ({
  host: '127.0.0.1',
  port,
  user: 'shop',
  password: new Secret('hush-hush'),
  database: 'shop',
  encrypt: false,
  connections: 4,
  label: 'old database shop',
})

describe('a SQL Server that gives fewer connections than the playbook allows', () => {
  const ends: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  async function small(room: number, refusal: Refusal): Promise<SmallServer> {
    const server = await startSmall(room, refusal)
    ends.push(server.close)
    return server
  }
  function connectionsTo({ port }: SmallServer): Connections {
    const connections = new Connections(optionsFor(port))
    ends.push(() => connections.close())
    return connections
  }

  /** Azure's sessions, workers and pool; all of the server's; a logon trigger; single-user mode; and no word at all. */
  const refusals: readonly Refusal[] = [10928, 10929, 10936, 17300, 17809, 17892, 924, 'closes']

  it.each(refusals)('is done with: it says %s', async (refusal) => {
    const server = await small(2, refusal)
    const connections = connectionsTo(server)
    const work = (session: Session): Promise<unknown> => session.batch('UPDATE dbo.orders SET total = 1')
    await Promise.all(Array.from({ length: 12 }, () => connections.use(work)))
    expect(server.most()).toBe(2)
  })

  it.each(refusals)('is read with what it gives, and nobody waits for more: it says %s', async (refusal) => {
    const server = await small(2, refusal)
    const database = openMssql(optionsFor(server.port))
    ends.push(async () => database.close())
    expect(await database.read(4, async (readers) => readers.length)).toBe(2)
  })

  it('that gives none at all is told as such, and may be tried again', async () => {
    const connections = connectionsTo(await small(0, 10928))
    const failure = await failureOf(connections.use(() => expect.unreachable('connected')))
    expect(failure).toMatchObject({ code: 'database-busy', retrySafe: true })
    expect(failure.message).toContain('The limit has been reached.')
    expect(failure.hint).toContain('Lower connections')
  })

  it('that closes the first line without a word is not to be reached', async () => {
    const connections = connectionsTo(await small(0, 'closes'))
    const failure = await failureOf(connections.use(() => expect.unreachable('connected')))
    expect(failure).toMatchObject({ code: 'database-unreachable', retrySafe: true })
  })

  it('closes what failed, and makes room by it', async () => {
    const server = await small(1, 10928)
    const connections = connectionsTo(server)
    const failure = new Error('of the work')
    await expect(connections.use(() => Promise.reject(failure))).rejects.toBe(failure)
    const [first, second] = await Promise.all([1, 2].map(() => connections.use(async (session) => session)))
    expect(first).toBe(second)
    expect(first?.broken).toBe(false)
  })
})
