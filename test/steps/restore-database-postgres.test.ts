import { postgresHost } from '../databases/postgres-shop.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { movingSuite } from './moving-suite.ts'

movingSuite('postgres', async () => postgresHost(await startTestPostgres({ host: '127.0.31.1' })))
