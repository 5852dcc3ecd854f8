import { describe } from 'vitest'
import { ALL_ABILITIES } from '../contract/database-host.ts'
import { reconcileContract } from '../contract/reconcile.ts'
import { mysqlHost } from '../databases/mysql-shop.ts'
import { startTestMysql } from '../servers/mysql.ts'
import { mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'

describe.skipIf(mysqlMissing !== null)(mysqlTitle('two hosts of MySQL'), () => {
  reconcileContract('mysql', async () => mysqlHost(await startTestMysql({ host: '127.0.13.3' })), ALL_ABILITIES, 4)
})
