import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { isLocked } from '../../src/run/lock.ts'
import { readStatus } from '../../src/run/status.ts'
import { closeTerminals, inTerminal, terminalMissing } from './terminal.ts'

const OFTEN = { timeout: 60_000, interval: 20 }

describe.skipIf(terminalMissing !== null)(
  `a terminal that is closed${terminalMissing === null ? '' : ` (skipped: ${terminalMissing})`}`,
  { timeout: 120_000 },
  () => {
    let folder: string
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'migrate-hang-up-'))
      for (const name of ['old', 'new']) await mkdir(join(folder, name))
    })
    afterEach(closeTerminals)
    afterAll(() => rm(folder, { recursive: true, force: true }))

    it('stops the run in it tidily, though nothing can be shown there any more', async () => {
      // Given: a command that takes its time to end, longer than the screen rests between two pictures
      const playbook = join(folder, 'mugs.yml')
      const step = `run: { command: "trap '' TERM; touch begun; sleep 600" }`
      await writeFile(playbook, `name: mugs\nold: { files: old }\nnew: { files: new }\nsteps:\n  - ${step}\n`)
      inTerminal(['run', playbook])
      await vi.waitFor(() => expect(existsSync(join(folder, 'begun'))).toBe(true), OFTEN)
      // When
      closeTerminals()
      // Then
      const kept = join(folder, '.migrate', 'mugs')
      await vi.waitFor(async () => expect(await isLocked(kept)).toBe(false), OFTEN)
      expect(await readStatus(kept)).toMatchObject({ outcome: 'interrupted' })
    })
  },
)
