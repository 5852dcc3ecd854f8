import { openMysql } from '../../../src/databases/mysql/index.ts'
import { startTestMysql } from '../../servers/mysql.ts'
import type { ModelHost, Values } from './hosts.ts'
import { type Connection, type Dialect, sqlPair } from './sql.ts'

const dialect: Dialect = {
  types: {
    id: 'bigint AUTO_INCREMENT',
    number: 'bigint',
    text: 'varchar(60)',
    guid: 'char(36)',
    stamp: 'datetime',
  },
  place: () => '?',
  // MariaDB documentation, "MariaDB Error Codes": duplicate entry, column cannot be null, parent and child row of a foreign key.
  isRefusal: (error) =>
    typeof error === 'object' && error !== null && 'errno' in error && [1062, 1048, 1451, 1452].includes(Number(error.errno)),
}

/** The model's shops on a private MariaDB. */
export async function mysqlModelHost(host: string): Promise<ModelHost> {
  const server = await startTestMysql({ host })
  const closing: (() => Promise<void>)[] = []
  const connect = async (): Promise<Connection> => {
    const made = await server.database()
    const client = await made.connect()
    closing.push(() => client.end())
    const run = async (sql: string, values: readonly (string | null)[] = []): Promise<readonly Values[]> => {
      const [rows] = await client.query({ sql, rowsAsArray: false }, [...values])
      return Array.isArray(rows) ? (rows as Values[]) : []
    }
    return {
      run,
      empty: async () => {
        const tables = await run('SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()')
        if (tables.length === 0) return
        await run('SET foreign_key_checks = 0')
        await run(`DROP TABLE ${tables.map(({ name }) => `\`${name}\``).join(', ')}`)
        await run('SET foreign_key_checks = 1')
      },
      open: () => openMysql(made.options({ connections: 2 })),
    }
  }
  const connections = { old: await connect(), new: await connect() }
  return {
    pair: () => sqlPair(dialect, connections),
    close: async () => {
      for (const each of closing) await each()
      await server.stop()
    },
  }
}
