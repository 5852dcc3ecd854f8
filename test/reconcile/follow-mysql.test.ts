import { describe } from 'vitest'
import { followContract } from '../contract/follow.ts'
import { mysqlHost } from '../databases/mysql-shop.ts'
import { startTestMysql } from '../servers/mysql.ts'
import { mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'

describe.skipIf(mysqlMissing !== null)(mysqlTitle('MariaDB'), () => {
  followContract('MariaDB', async () => mysqlHost(await startTestMysql({ host: '127.0.13.13' })))
})
