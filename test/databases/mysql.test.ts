import { describe } from 'vitest'
import { ALL_ABILITIES, databaseContract } from '../contract/database.ts'
import { mysqlMissing, mysqlTitle, startTestMysql } from '../servers/mysql.ts'
import { mysqlHost } from './mysql-shop.ts'

describe.skipIf(mysqlMissing !== null)(mysqlTitle('the adapter for MySQL'), () => {
  databaseContract('mysql', async () => mysqlHost(await startTestMysql({ host: '127.0.12.1' })), ALL_ABILITIES)
})
