import { describe } from 'vitest'
import { MYSQL_ABILITIES, mysqlHost } from '../databases/mysql-shop.ts'
import { startTestMysql } from '../servers/mysql.ts'
import { mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'
import { movingSuite } from './moving-suite.ts'

describe.skipIf(mysqlMissing !== null)(mysqlTitle('from one MySQL to another'), () => {
  movingSuite('mysql', async () => mysqlHost(await startTestMysql({ host: '127.0.31.3' })), MYSQL_ABILITIES)
})
