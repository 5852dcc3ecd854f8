import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Ids of the programs of this kind that work in a folder of this machine. */
export const atWork = (folder: string, words: string): readonly number[] =>
  readdirSync('/proc')
    .filter((pid) => {
      try {
        return (
          /^\d+$/.test(pid) &&
          readlinkSync(`/proc/${pid}/cwd`) === folder &&
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(words)
        )
      } catch {
        return false // it has ended meanwhile
      }
    })
    .map(Number)
