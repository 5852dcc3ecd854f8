import { describe, it } from 'vitest'
import { memoryModelHost } from './memory.ts'
import { PATIENCE_MS, playHistories } from './model.ts'

describe('the merge, against a model that knows nothing of it', () => {
  it('keeps every promise over random shops and histories', { timeout: PATIENCE_MS }, () =>
    playHistories(memoryModelHost, 1_000, 1),
  )
})
