import { afterAll, beforeAll, describe, it } from 'vitest'
import type { ModelHost } from './hosts.ts'
import { PATIENCE_MS, playHistories } from './model.ts'
import { postgresModelHost } from './postgres-host.ts'

describe('the merge on postgres, against a model that knows nothing of it', () => {
  let host: ModelHost
  beforeAll(async () => {
    host = await postgresModelHost('127.0.13.21')
  })
  afterAll(() => host?.close())

  it('keeps every promise over random shops and histories', { timeout: PATIENCE_MS }, () => playHistories(host, 40, 3))
})
