import { readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type SiteFolder, siteFolder } from '../servers/site-folder.ts'
import { eventsOf, migrate } from './migrate.ts'
import { closeTerminals, inTerminal, KEYS, terminalMissing } from './terminal.ts'

let home: SiteFolder
const at = (path: string): string => join(home.path, path)
const playbook = (): string => at('shop.yml')

beforeEach(async () => {
  home = siteFolder()
  home.put('old/notes.txt', Buffer.from('line 1\nline 2\n'))
  home.put('old/photo.jpg', Buffer.from([0, 1, 2]))
  home.folder('new')
  const text = `name: shop
old: { files: ${at('old')} }
new: { files: ${at('new')} }
steps: [snapshot-files, restore-files, carry-files]
`
  writeFileSync(playbook(), text)
  const run = await migrate(['run', playbook(), '--yes'])
  expect(run.exit, run.stdout).toBe(0)
  change('old/notes.txt', 'line 1\nline two, on old\n', 1_700_000_000)
  change('new/notes.txt', 'line 1\nline two, on new\n', 1_700_000_100)
  change('old/photo.jpg', 'an old photo', 1_700_000_000)
  change('new/photo.jpg', 'a new photo', 1_700_000_100)
  expect((await migrate(['reconcile', playbook(), '--yes'])).exit).toBe(3)
})
afterEach(() => home.remove())
afterAll(closeTerminals)

function change(path: string, text: string, seconds: number): void {
  writeFileSync(at(path), text)
  utimesSync(at(path), seconds, seconds)
}

const text = (path: string): string => readFileSync(at(path), 'utf8')

describe('parked files', () => {
  it('are decided about in a file; what isn’t keeps the command waiting (3), then it is done (0)', async () => {
    const asked = await migrate(['reconcile', playbook(), '--resolve'])
    expect(asked.exit).toBe(3)
    expect(asked.stderr).toContain('2 files are parked, and there is no terminal to ask in. Nothing was changed.')
    expect(asked.stderr).toContain('- { file: "notes.txt", take: both }')
    const decide = async (lines: string) => {
      writeFileSync(at('decide.yml'), lines)
      const { exit, stdout } = await migrate(['reconcile', playbook(), '--decisions', at('decide.yml'), '--json'])
      return { exit, events: eventsOf(stdout) }
    }
    const wrong = await decide('- { file: notes.txt, take: old }\n- { file: nowhere.txt, take: old }\n')
    expect(wrong.exit).toBe(2)
    expect(wrong.events).toContainEqual(
      expect.objectContaining({ problems: [expect.objectContaining({ line: 2, message: 'No file nowhere.txt is parked.' })] }),
    )
    expect(text('new/notes.txt')).toContain('on new')
    const one = await decide('- { file: notes.txt, take: old }\n')
    expect(one.exit).toBe(3)
    expect(text('new/notes.txt')).toContain('on old')
    expect(one.events.find(({ code }) => code === 'files-parked')?.message).toMatch(/^1 file is parked .*: photo\.jpg/)
    const rest = await decide('- { file: notes.txt, take: old }\n- { file: photo.jpg, take: both }\n')
    expect(rest.exit).toBe(0)
    expect(rest.events).toContainEqual(expect.objectContaining({ event: 'settled', files: ['notes.txt'] }))
    expect(text('new/photo.jpg')).toBe('a new photo')
    expect(text('new/photo (old host).jpg')).toBe('an old photo')
  })

  const title = `in a terminal${terminalMissing === null ? '' : ` (skipped: ${terminalMissing})`}`
  it.skipIf(terminalMissing !== null)(`are shown with every version and what differs, ${title}`, async () => {
    const terminal = inTerminal(['reconcile', playbook(), '--resolve'])
    await terminal.until('notes.txt   1 of 2')
    await terminal.until('old host       24 B, 2023-11-14 22:13:20 UTC  sha256 ')
    await terminal.until('both last had  14 B')
    await terminal.until('-line two, on new')
    await terminal.until('+line two, on old')
    await terminal.until('Which file shall hold?')
    terminal.press(KEYS.enter)
    await terminal.until('photo.jpg   2 of 2')
    await terminal.until('Which file shall hold?')
    terminal.press(KEYS.down, KEYS.down, KEYS.down, KEYS.down, KEYS.enter)
    await terminal.until('Decided: 1 of 2 files. 1 stays parked.')
    expect(await terminal.exit, terminal.text).toBe(3)
    expect(text('new/notes.txt')).toContain('on old')
    expect(text('new/photo.jpg')).toBe('a new photo')
  })
})
