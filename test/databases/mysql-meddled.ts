import { Connections } from '../../src/databases/mysql/connection.ts'
import type { ServerKind, Session } from '../../src/databases/mysql/session.ts'
import type { TestMysqlDatabase } from '../servers/mysql.ts'

interface Meddled {
  readonly limit?: number
  /** What the server is taken for. */
  readonly claims?: Pick<ServerKind, 'family' | 'version'>
}

/** Connections on which something happens before a statement; where that fails, so does the statement. */
export class MeddledConnections extends Connections {
  readonly #before: (sql: string, connection: number) => Promise<unknown>
  readonly #claims: Meddled['claims']
  #made = 0

  constructor(
    made: TestMysqlDatabase,
    before: (sql: string, connection: number) => Promise<unknown>,
    { limit, claims }: Meddled = {},
  ) {
    super(made.options(limit === undefined ? {} : { connections: limit }))
    this.#before = before
    this.#claims = claims
  }

  protected override async connect(): Promise<Session> {
    const session = await super.connect()
    session.kind = { ...session.kind, ...this.#claims }
    const number = this.#made
    this.#made += 1
    const query = session.query.bind(session)
    session.query = async (sql) => {
      await this.#before(sql, number)
      return await query(sql)
    }
    return session
  }
}
