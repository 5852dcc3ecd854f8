import { memoryHost } from '../fakes/memory-shop.ts'
import { leapfrogSuite } from './leapfrog-suite.ts'

leapfrogSuite('a database in memory', () => memoryHost({ batchRows: 100 }))
