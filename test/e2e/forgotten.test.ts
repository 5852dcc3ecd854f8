import { mysqlMissing } from '../servers/mysql-programs.ts'
import { mssqlStory } from './engine-mssql.ts'
import { mysqlStory } from './engine-mysql.ts'
import { postgresStory } from './engine-postgres.ts'
import { forgetTheUsers } from './forgotten.ts'
import { storyMissing } from './story-hosts.ts'

const mssqlServer = process.env.MIGRATE_TEST_MSSQL

forgetTheUsers(postgresStory, storyMissing)
forgetTheUsers(mysqlStory, mysqlMissing ?? storyMissing)
forgetTheUsers(mssqlStory(mssqlServer ?? ''), mssqlServer === undefined ? 'MIGRATE_TEST_MSSQL is not set' : storyMissing)
