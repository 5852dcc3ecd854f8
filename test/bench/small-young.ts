// As the program itself does when it starts: to be imported before anything that is large, which would let the young generation grow first.
import { boundYoungGeneration } from '../../src/base/young-generation.ts'

boundYoungGeneration()
