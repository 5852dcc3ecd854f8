import { mysqlMissing } from '../servers/mysql-programs.ts'
import { mssqlStory } from './engine-mssql.ts'
import { mysqlStory } from './engine-mysql.ts'
import { postgresStory } from './engine-postgres.ts'
import { tellStory } from './story.ts'
import { storyMissing } from './story-hosts.ts'

const mssqlServer = process.env.MIGRATE_TEST_MSSQL

tellStory(postgresStory, storyMissing)
tellStory(mysqlStory, mysqlMissing ?? storyMissing)
tellStory(mssqlStory(mssqlServer ?? ''), mssqlServer === undefined ? 'MIGRATE_TEST_MSSQL is not set' : storyMissing)
