import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { columnsAt } from '../../src/databases/mssql/tds-columns.ts'
import { BULK_LOAD, doneReply, errorReply, MessageReader, packetsOf, SQL_BATCH, type TdsMessage, textOf } from './tds-messages.ts'

export interface BulkJudge {
  readonly host: string
  readonly port: number
  /** `INSERT BULK` statements that came, but for those into temporary tables. */
  readonly statements: readonly string[]
  /** Errors that were given for them. */
  readonly refusals: readonly string[]
  close(): Promise<void>
}

const COLMETADATA = 0x81
const NULLABLE = 1

/** Bytes before TYPE_INFO and the name behind it ([MS-TDS] 2.2.7.4). */
const HEAD_BYTES = 6

/** For each column of a COLMETADATA token, whether its NULLABLE flag is set. */
export function nullableFlags(payload: Buffer): readonly boolean[] {
  if (payload[0] !== COLMETADATA) throw new Error('A bulk load begins with something else than its columns.')
  const { columns } = columnsAt(payload, 0, () => undefined)
  let at = 3
  return columns.map(({ type }) => {
    const flags = payload.readUInt16LE(at + 4)
    at += HEAD_BYTES + type.length
    at += 1 + 2 * (payload[at] ?? 0)
    return (flags & NULLABLE) !== 0
  })
}

const names = (statement: string): readonly string[] =>
  [...statement.matchAll(/\[((?:[^\]]|\]\])+)\] [a-z]/g)].map((match) => match[1] ?? '')

/**
 * Stands before a server that takes bulk loads however they are described, and holds them to what SQL Server asks: each column's NULLABLE
 * flag must be that of the table's column, else it answers error 4816, state 1, and takes none of the rows (seen on SQL Server 2022).
 * Loads into temporary tables pass. `nullable`: of the table's columns by name. `refusing`: every load is refused.
 */
export async function startBulkJudge(
  target: { readonly host: string; readonly port: number },
  { nullable, refusing }: { readonly nullable: ReadonlyMap<string, boolean>; readonly refusing: boolean },
): Promise<BulkJudge> {
  const statements: string[] = []
  const refusals: string[] = []
  const sockets = new Set<Socket>()
  const wrongIn = (statement: string, load: TdsMessage): number => {
    if (refusing) return 0
    const flags = nullableFlags(load.payload)
    return names(statement).findIndex((name, at) => nullable.get(name) !== flags[at])
  }
  const server = createServer((client) => {
    const upstream = connect(target)
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one)
      one.setNoDelay(true)
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      // What breaks on one side shows on the other as a closed connection.
      one.on('error', () => other.destroy())
    }
    const reader = new MessageReader()
    let held: TdsMessage | undefined
    /** What follows the answer to `held`, which the client has had already. */
    let behind: TdsMessage | undefined
    upstream.on('data', (chunk) => {
      if (behind === undefined) client.write(chunk)
      else {
        upstream.write(packetsOf(behind))
        behind = undefined
      }
    })
    client.on('data', (chunk) => {
      for (const message of reader.take(chunk)) {
        const text = message.type === SQL_BATCH ? textOf(message) : ''
        if (/^insert bulk (?!#)/i.test(text)) {
          statements.push(text)
          held = message
          client.write(doneReply())
        } else if (message.type === BULK_LOAD && held !== undefined) {
          const wrong = wrongIn(textOf(held), message)
          if (wrong === -1) {
            upstream.write(packetsOf(held))
            behind = message
          } else {
            const error = `Invalid column type from bcp client for colid ${wrong + 1}.`
            refusals.push(error)
            client.write(errorReply(error, 4816))
          }
          held = undefined
        } else upstream.write(packetsOf(message))
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The judge has no port.')
  return {
    host: '127.0.0.1',
    port: address.port,
    statements,
    refusals,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
