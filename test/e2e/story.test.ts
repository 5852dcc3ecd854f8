import { mssqlStory } from './engine-mssql.ts'
import { postgresStory } from './engine-postgres.ts'
import { tellStory } from './story.ts'
import { storyMissing } from './story-hosts.ts'

const mssqlServer = process.env.MIGRATE_TEST_MSSQL

tellStory(postgresStory, storyMissing)
tellStory(mssqlStory(mssqlServer ?? ''), mssqlServer === undefined ? 'MIGRATE_TEST_MSSQL is not set' : storyMissing)
