/** Nobody but who knows how the playbook was named can fill it in: all others write `migrate reconcile PLAYBOOK`. */
const COMMAND = /\b(migrate [a-z]+) PLAYBOOK\b/g

/** What stands behind `migrate run`: the playbook, and where the run is kept if not beside it. */
export const playbookWords = (playbook: string, { state }: { readonly state?: string | undefined }): string =>
  [quoted(playbook), ...(state === undefined ? [] : [`--state ${quoted(state)}`])].join(' ')

/** For a POSIX shell, where it needs it. */
const quoted = (word: string): string => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

/** The text with its commands as they can be typed. */
export const withCommands = (text: string, words: string): string =>
  text.replaceAll(COMMAND, (_all, start: string) => `${start} ${words}`)
