import { afterAll, beforeAll, describe, it } from 'vitest'
import type { ModelHost } from './hosts.ts'
import { PATIENCE_MS, playHistories } from './model.ts'
import { mysqlModelHost } from './mysql-host.ts'

describe('the merge on mysql, against a model that knows nothing of it', () => {
  let host: ModelHost
  beforeAll(async () => {
    host = await mysqlModelHost('127.0.13.22')
  })
  afterAll(() => host?.close())

  it('keeps every promise over random shops and histories', { timeout: PATIENCE_MS }, () => playHistories(host, 30, 3))
})
