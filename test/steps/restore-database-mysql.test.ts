import { describe } from 'vitest'
import { mysqlHost } from '../databases/mysql-shop.ts'
import { mysqlMissing, mysqlTitle, startTestMysql } from '../servers/mysql.ts'
import { movingSuite } from './moving-suite.ts'

describe.skipIf(mysqlMissing !== null)(mysqlTitle('from one MySQL to another'), () => {
  movingSuite('mysql', async () => mysqlHost(await startTestMysql({ host: '127.0.31.3' })))
})
