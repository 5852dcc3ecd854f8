import { ALL_ABILITIES } from '../contract/database-host.ts'
import { reconcileContract } from '../contract/reconcile.ts'
import { postgresHost } from '../databases/postgres-shop.ts'
import { startTestPostgres } from '../servers/postgres.ts'

reconcileContract('postgres', async () => postgresHost(await startTestPostgres({ host: '127.0.13.1' })), ALL_ABILITIES, 4)
