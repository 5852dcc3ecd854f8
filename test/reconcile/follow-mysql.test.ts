import { describe } from 'vitest'
import { followContract } from '../contract/follow.ts'
import { mysqlHost } from '../databases/mysql-shop.ts'
import { mysqlMissing, mysqlTitle, startTestMysql } from '../servers/mysql.ts'

describe.skipIf(mysqlMissing !== null)(mysqlTitle('MariaDB'), () => {
  followContract('MariaDB', async () => mysqlHost(await startTestMysql({ host: '127.0.13.13' })))
})
