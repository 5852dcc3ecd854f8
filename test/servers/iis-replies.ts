import { readFileSync } from 'node:fs'
import { z } from 'zod'

const reply = z.object({ lines: z.array(z.string()).min(1), from: z.array(z.string()).min(1) })
const file = z.object({
  sources: z.record(z.string(), z.object({ kind: z.enum(['recorded', 'documented']), what: z.string() })),
  replies: z.record(z.string(), reply),
  words: z.record(z.string(), reply),
})

/** What IIS says, word for word, each with where that was seen: in a session that somebody published, or in a document. */
const recording = file.parse(JSON.parse(readFileSync(new URL('../recordings/iis-ftp-replies.json', import.meta.url), 'utf8')))

/** The lines of an answer; `{0}`, `{1}` stand for what is given. */
export function iisReply(name: string, ...given: readonly string[]): readonly string[] {
  return told('replies', name).map((line) => line.replaceAll(/\{(\d)\}/g, (_, index: string) => given[Number(index)] ?? ''))
}

/** Windows' own words for what is wrong. */
export const iisWords = (name: string): string => told('words', name).join('')

function told(part: 'replies' | 'words', name: string): readonly string[] {
  const found = recording[part][name]
  if (found === undefined) throw new Error(`Nobody has seen what IIS says for ${name}.`)
  return found.lines
}

/** Names of those that no published session shows; and of sources that aren't there. */
export function notRecorded(): { readonly documented: readonly string[]; readonly without: readonly string[] } {
  const all = Object.entries({ ...recording.replies, ...recording.words })
  const isOf = (id: string, kind: string): boolean => recording.sources[id]?.kind === kind
  return {
    documented: all.filter(([, { from }]) => !from.some((id) => isOf(id, 'recorded'))).map(([name]) => name),
    without: all.flatMap(([, { from }]) => from).filter((id) => recording.sources[id] === undefined),
  }
}
