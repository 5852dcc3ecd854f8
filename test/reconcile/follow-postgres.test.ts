import { followContract } from '../contract/follow.ts'
import { postgresHost } from '../databases/postgres-shop.ts'
import { startTestPostgres } from '../servers/postgres.ts'

followContract('postgres', async () => postgresHost(await startTestPostgres({ host: '127.0.13.11' })))
