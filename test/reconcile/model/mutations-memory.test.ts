import { memoryHost } from '../../fakes/memory-shop.ts'
import { mutationsAreFound } from './mutations.ts'

mutationsAreFound('the memory database', () => memoryHost(), 'both')
