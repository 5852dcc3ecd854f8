import { describe, expect, it } from 'vitest'
import { mysqlHost } from '../databases/mysql-shop.ts'
import { mysqlMissing, startTestMysql } from '../servers/mysql.ts'
import { movingSuite } from './moving-suite.ts'

if (mysqlMissing === null) movingSuite('mysql', async () => mysqlHost(await startTestMysql({ host: '127.0.31.3' })))
else describe.skip(`moving a database, mysql (skipped: ${mysqlMissing})`, () => it('moves', () => expect.unreachable()))
