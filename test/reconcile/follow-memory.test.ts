import { followContract } from '../contract/follow.ts'
import { memoryHost } from '../fakes/memory-shop.ts'

followContract('the memory database', async () => memoryHost())
