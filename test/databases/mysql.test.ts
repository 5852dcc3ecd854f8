import { describe } from 'vitest'
import { databaseContract } from '../contract/database.ts'
import { startTestMysql } from '../servers/mysql.ts'
import { mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'
import { MYSQL_ABILITIES, mysqlHost } from './mysql-shop.ts'

describe.skipIf(mysqlMissing !== null)(mysqlTitle('the adapter for MySQL'), () => {
  databaseContract('mysql', async () => mysqlHost(await startTestMysql({ host: '127.0.12.1' })), MYSQL_ABILITIES)
})
