import { vi } from 'vitest'
import { postgresHost } from '../databases/postgres-shop.ts'
import { startTestPostgres } from '../servers/postgres.ts'
import { leapfrogSuite } from './leapfrog-suite.ts'

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 })

leapfrogSuite('postgres', async () => postgresHost(await startTestPostgres({ host: '127.0.31.3' })))
