import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { z } from 'zod'
import {
  ATTENTION,
  errorReply,
  keyOf,
  LOGIN7,
  loginOf,
  MessageReader,
  SQL_BATCH,
  shown,
  type TdsMessage,
  textOf,
} from './tds-messages.ts'

/**
 * Answers of a real server, recorded between the driver and it and played back to the real driver: everything of the adapter runs,
 * down to the bytes of the protocol, where no such server can be had. A request that wasn't recorded is answered with an error that
 * says how to record anew.
 */
export interface TdsEndpoint {
  readonly host: string
  readonly port: number
  /** Ends it; what was recorded is on disk then. */
  close(): Promise<void>
}

/** The account that everything belongs to. Its password is kept out of the recording. */
export interface RecordedOwner {
  readonly user: string
  readonly password: string
}

const fileSchema = z.object({
  /** Who asked: the owner's name stands in what was asked and answered. */
  user: z.string(),
  /** Base64, each once. */
  replies: z.array(z.string()),
  /** In the order of the requests: key and place of the reply. */
  exchanges: z.array(z.tuple([z.string(), z.number()])),
})

export const hasRecording = (file: string): boolean => existsSync(file)

/** Which requests of a connection belong together: those of one database, whose name no other test uses. */
interface Conversation {
  readonly owner: RecordedOwner
  scope: string
  previous: string
}

/** The key of a message in its conversation; a login begins one, and USE goes on in another database's. */
function keyIn(conversation: Conversation, message: TdsMessage): string {
  if (message.type === LOGIN7) conversation.scope = loginOf(message.payload).database
  const used = message.type === SQL_BATCH ? /^USE \[?(\w+)\]?$/.exec(textOf(message))?.[1] : undefined
  conversation.scope = used ?? conversation.scope
  const own = message.type === ATTENTION ? `attention after ${conversation.previous}` : keyOf(message, conversation.owner)
  conversation.previous = own
  return `${conversation.scope} ${own}`
}

interface Exchange {
  readonly key: string
  readonly chunks: Buffer[]
}

/** A proxy to a real server that writes down every request and what was answered to it. */
export async function startRecorder(
  target: { readonly host: string; readonly port: number },
  owner: RecordedOwner,
  file: string,
): Promise<TdsEndpoint> {
  const exchanges: Exchange[] = []
  const endpoint = await listen((client) => {
    const upstream = connect(target)
    const reader = new MessageReader()
    const conversation: Conversation = { owner, scope: '', previous: '' }
    let current: Exchange | undefined
    client.on('data', (chunk) => {
      for (const message of reader.take(chunk)) {
        current = { key: keyIn(conversation, message), chunks: [] }
        exchanges.push(current)
      }
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      current?.chunks.push(chunk)
      client.write(chunk)
    })
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('close', () => other.destroy())
      // What breaks on one side shows on the other as a closed connection.
      one.on('error', () => other.destroy())
    }
  })
  return {
    ...endpoint,
    close: async () => {
      await endpoint.close()
      save(file, owner.user, exchanges)
    },
  }
}

function save(file: string, user: string, exchanges: readonly Exchange[]): void {
  const places = new Map<string, number>()
  const replies: string[] = []
  const placed = exchanges.map(({ key, chunks }): [string, number] => {
    const bytes = Buffer.concat(chunks)
    const hash = createHash('sha256').update(bytes).digest('hex')
    const place = places.get(hash) ?? replies.push(bytes.toString('base64')) - 1
    places.set(hash, place)
    return [key, place]
  })
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, zstdCompressSync(JSON.stringify({ user, replies, exchanges: placed })))
}

/** Plays a recording back. `how`: what to do when it is stale, for the error that then comes. */
export async function startReplay(file: string, how: string): Promise<TdsEndpoint & { readonly owner: RecordedOwner }> {
  const { user, replies, exchanges } = fileSchema.parse(JSON.parse(zstdDecompressSync(readFileSync(file)).toString()))
  const waiting = new Map<string, number[]>()
  for (const [key, place] of exchanges) waiting.set(key, [...(waiting.get(key) ?? []), place])
  const next = (key: string): Buffer | undefined => {
    const places = waiting.get(key)
    // A pool may ask for the same more often than it did then (a further login): the last answer serves again.
    const place = places !== undefined && places.length > 1 ? places.shift() : places?.[0]
    return place === undefined ? undefined : Buffer.from(replies[place] ?? '', 'base64')
  }
  const owner: RecordedOwner = { user, password: 'not-recorded' }
  const endpoint = await listen((client) => {
    const reader = new MessageReader()
    const conversation: Conversation = { owner, scope: '', previous: '' }
    client.on('error', () => client.destroy())
    client.on('data', (chunk) => {
      for (const message of reader.take(chunk)) {
        const reply = next(keyIn(conversation, message))
        client.write(
          reply ?? errorReply(`The recording ${basename(file)} is stale: it has no answer to ${shown(message)}. ${how}`),
        )
      }
    })
  })
  return { ...endpoint, owner }
}

async function listen(onClient: (client: Socket) => void): Promise<TdsEndpoint> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    sockets.add(client)
    client.setNoDelay(true)
    client.on('close', () => sockets.delete(client))
    onClient(client)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  return {
    host: '127.0.0.1',
    port: portOf(server),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The endpoint has no port.')
  return address.port
}
