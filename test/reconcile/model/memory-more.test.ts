import { describe, it } from 'vitest'
import { memoryModelHost } from './memory.ts'
import { playHistories } from './model.ts'

describe('the merge, against a model that knows nothing of it (second half)', () => {
  it('keeps every promise over random shops and histories', () => playHistories(memoryModelHost, 5_000, 2))
})
