import { ALL_ABILITIES, databaseContract } from '../contract/database.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { postgresHost } from './postgres-shop.ts'

databaseContract('postgres', async () => postgresHost(await startTestPostgres({ host: '127.0.11.1' })), ALL_ABILITIES)
