import { postgresHost } from '../../databases/postgres-shop.ts'
import { startTestPostgres } from '../../servers/postgres.ts'
import { mutationsAreFound } from './mutations.ts'

mutationsAreFound('postgres', async () => postgresHost(await startTestPostgres({ host: '127.0.13.23' })), 'one')
