import { shellWord } from './command.ts'

/** Headers without a content, of the folder itself, as many as fill a record; tar writes its name as `./`. */
export const RECORD_BLOCKS = 64
export const FILLER = '.\0'.repeat(RECORD_BLOCKS)
export const isFiller = (name: Buffer): boolean => name.length === 2 && name.toString('latin1') === './'

/**
 * GNU tar, which takes names while it works: one round trip for thousands of files. Names byte for byte, a line break too;
 * a file with several names as often as it has names; nothing of what it finds instead of a file is followed.
 */
export const tarCommand = (root: string): string =>
  `cd -- ${shellWord(root)} && LC_ALL=C exec tar --create --file=- --format=gnu --blocking-factor=${RECORD_BLOCKS} --no-recursion --hard-dereference --null --verbatim-files-from --files-from=-`
