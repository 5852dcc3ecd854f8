import { reconcileContract } from '../contract/reconcile.ts'
import { MEMORY_ABILITIES, memoryHost } from '../fakes/memory-shop.ts'

reconcileContract('the memory database', () => memoryHost(), MEMORY_ABILITIES, Number(process.env.HISTORIES ?? 150))
