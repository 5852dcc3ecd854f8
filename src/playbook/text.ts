import { open } from 'node:fs/promises'
import { codeOf, MigrateError, messageOf } from '../base/errors.ts'

const LARGEST_BYTES = 1024 * 1024

/** A small text file. Throws `playbook-missing`, `playbook-unreadable` or `playbook-too-large`, or the same of `what`. */
export async function readText(path: string, what: 'playbook' | 'decisions' = 'playbook'): Promise<string> {
  const tooLarge = new MigrateError(`${what}-too-large`, `The ${NOUNS[what]} ${path} is larger than 1 MiB; it was not read.`, {
    hint: 'Is this the right file?',
    ending: 'usage',
  })
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    if (size > LARGEST_BYTES) throw tooLarge
    // One byte more than allowed: a pipe or a file that grows has no size beforehand.
    const buffer = Buffer.alloc(LARGEST_BYTES + 1)
    let end = 0
    for (;;) {
      const { bytesRead } = await file.read(buffer, end, buffer.length - end)
      end += bytesRead
      if (end > LARGEST_BYTES) throw tooLarge
      if (bytesRead === 0) return buffer.toString('utf8', 0, end).replace(/^\uFEFF/, '')
    }
  } catch (error) {
    if (error instanceof MigrateError) throw error
    throw unreadable(path, error, what)
  }
}

const NOUNS = { playbook: 'playbook', decisions: 'file of decisions' } as const

function unreadable(path: string, error: unknown, what: 'playbook' | 'decisions'): MigrateError {
  if (codeOf(error) === 'ENOENT') {
    return new MigrateError(`${what}-missing`, `There is no ${NOUNS[what]} ${path}.`, {
      hint: what === 'playbook' ? 'Check the path; playbooks/ has examples.' : 'Check the path.',
      ending: 'usage',
      cause: error,
    })
  }
  return new MigrateError(`${what}-unreadable`, `The ${NOUNS[what]} ${path} can't be read: ${messageOf(error)}`, {
    hint: 'Check the path and its permissions.',
    ending: 'usage',
    cause: error,
  })
}
