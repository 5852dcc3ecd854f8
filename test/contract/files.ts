import { afterEach, beforeEach, describe } from 'vitest'
import { failures } from './files-failures.ts'
import { faults } from './files-faults.ts'
import type { FilesUnderTest } from './files-kit.ts'
import { contents, listing } from './files-reading.ts'
import { boundary, writing } from './files-writing.ts'

/** What every FileHost and fake keeps to (src/files/port.ts). `start` gives an empty folder. */
export function filesContract(name: string, start: () => Promise<FilesUnderTest>): void {
  describe(`files contract: ${name}`, () => {
    let under: FilesUnderTest
    beforeEach(async () => {
      under = await start()
    })
    afterEach(() => under.stop())
    const use = (): FilesUnderTest => under
    listing(use)
    contents(use)
    writing(use)
    boundary(use)
    failures(use)
    faults(use)
  })
}
