import { createHash } from 'node:crypto'

/** SHA-256 of a content, hexadecimal. */
export async function hashOf(content: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of content) hash.update(chunk)
  return hash.digest('hex')
}

/** Counts and hashes a content on its way: `through` is a stage of a pipeline, `came` tells of what went through it, once. */
export function counting(): {
  through(content: AsyncIterable<Buffer>): AsyncIterable<Buffer>
  came(): { readonly size: number; readonly sha256: string }
} {
  const hash = createHash('sha256')
  let size = 0
  return {
    through: async function* (content) {
      for await (const chunk of content) {
        hash.update(chunk)
        size += chunk.length
        yield chunk
      }
    },
    came: () => ({ size, sha256: hash.digest('hex') }),
  }
}
