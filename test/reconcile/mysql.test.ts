import { describe, expect, it } from 'vitest'
import { ALL_ABILITIES } from '../contract/database-host.ts'
import { reconcileContract } from '../contract/reconcile.ts'
import { mysqlHost } from '../databases/mysql-shop.ts'
import { mysqlMissing, startTestMysql } from '../servers/mysql.ts'

if (mysqlMissing === null)
  reconcileContract('mysql', async () => mysqlHost(await startTestMysql({ host: '127.0.13.3' })), ALL_ABILITIES, 8)
else describe.skip(`reconcile on mysql (skipped: ${mysqlMissing})`, () => it('carries rows', () => expect.unreachable()))
