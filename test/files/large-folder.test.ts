import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { type Script, startScriptedFtpd } from '../servers/scripted-ftpd.ts'

const CHILD = fileURLToPath(new URL('./large-folder-child.ts', import.meta.url))
const FILES = 120_000
const SMALL = 9000
/** Held all together, as entries and as names, they would take 60 (measured). */
const MOST_GROWN_MIB = 24

/** In no order, as servers give them; a folder and a link among them, and one name that is another's but for its case. */
const nameOf = (index: number, files: number): string => `photo-${(index * 7919) % files}-of-a-product`

async function* lines(files: number, each: (name: string, index: number) => string, end = ''): AsyncGenerator<string> {
  for (let index = 0; index < files; index += 1000) {
    let text = ''
    for (let at = index; at < index + 1000; at += 1) text += `${each(nameOf(at, files), at)}\r\n`
    yield text
  }
  yield end
}

/** A name of its own in capitals, and nothing of the link, as proftpd says nothing of one that leads nowhere. */
const facts = (name: string, index: number): string => {
  if (index === 2) return ''
  const shown = index === 0 ? 'PHOTO-7-of-a-product' : name
  return `type=${index === 1 ? 'dir' : 'file'};size=${index};modify=20260102030405;unix.mode=0644; ${shown}`
}
const line = (name: string, index: number): string =>
  index === 2
    ? `lrwxrwxrwx   1 shop     shop           11 Jan  2  2026 ${name} -> ../original`
    : `-rw-r--r--   1 shop     shop        ${index} Jan  2  2026 ${name}`

/** What the child says of a server whose large folder's exact listing ends so. */
async function goneThrough(files: number, end?: string): Promise<unknown> {
  let folder = ''
  const size = (): number => (folder === '/large' ? files : folder === '/small' ? SMALL : 0)
  const script: Script = {
    CWD: (given) => {
      folder = given
      return '250 OK'
    },
    MLSD: (_given, talk) => talk.send(lines(size(), facts, folder === '/large' ? end : undefined)),
    LIST: (_given, talk) => talk.send(lines(size(), line)),
  }
  const server = await startScriptedFtpd(script, ['MLST type*;size*;modify*;'])
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['--max-old-space-size=48', CHILD, `${server.port}`])
    return JSON.parse(stdout)
  } finally {
    await server.close()
  }
}

it('one folder of 120,000 files is listed in order, and its names compared, in no more memory than one of some thousands', async () => {
  const both = { entries: SMALL + FILES + 2, folders: 2, targets: 2, inOrder: true }
  const alike = ['small', 'large'].map((folder) => `${folder}/PHOTO-7-of-a-product and ${folder}/photo-7-of-a-product`)
  const { grownMib, ...found } = z.looseObject({ grownMib: z.number() }).parse(await goneThrough(FILES))
  expect(found).toEqual({ ...both, alike })
  expect(grownMib).toBeLessThan(MOST_GROWN_MIB)
})

it('a large folder whose listing ends in the middle of a line is not taken for the whole', async () => {
  expect(await goneThrough(2 * SMALL, 'type=file;size=1')).toEqual({ code: 'files-connection-lost' })
})
