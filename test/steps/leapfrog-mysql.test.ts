import { describe, vi } from 'vitest'
import { mysqlHost } from '../databases/mysql-shop.ts'
import { startTestMysql } from '../servers/mysql.ts'
import { mysqlMissing, mysqlTitle } from '../servers/mysql-programs.ts'
import { leapfrogSuite } from './leapfrog-suite.ts'

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 })

describe.skipIf(mysqlMissing !== null)(mysqlTitle('moving identities'), () => {
  leapfrogSuite('MariaDB', async () => mysqlHost(await startTestMysql({ host: '127.0.31.6' })))
})
