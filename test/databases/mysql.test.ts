import { describe, expect, it } from 'vitest'
import { ALL_ABILITIES, databaseContract } from '../contract/database.ts'
import { mysqlMissing, startTestMysql } from '../servers/mysql.ts'
import { mysqlHost } from './mysql-shop.ts'

if (mysqlMissing === null)
  databaseContract('mysql', async () => mysqlHost(await startTestMysql({ host: '127.0.12.1' })), ALL_ABILITIES)
else describe.skip(`mysql (skipped: ${mysqlMissing})`, () => it('keeps the database contract', () => expect.unreachable()))
