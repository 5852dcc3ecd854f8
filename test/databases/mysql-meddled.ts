import { Connections } from '../../src/databases/mysql/connection.ts'
import type { Session } from '../../src/databases/mysql/session.ts'
import type { TestMysqlDatabase } from '../servers/mysql.ts'

/** Connections on which something happens before a statement; where that fails, so does the statement. */
export class MeddledConnections extends Connections {
  readonly #before: (sql: string, connection: number) => Promise<unknown>
  #made = 0

  constructor(made: TestMysqlDatabase, before: (sql: string, connection: number) => Promise<unknown>) {
    super(made.options())
    this.#before = before
  }

  protected override async connect(): Promise<Session> {
    const session = await super.connect()
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
