import { memoryHost } from '../fakes/memory-shop.ts'
import { movingSuite } from './moving-suite.ts'

movingSuite('a database in memory', () => memoryHost({ batchRows: 4 }))
