/**
 * Whether names that differ in case alone are the same on a host, found without writing: by asking for the other case of a name that is
 * there. `names`: all of one folder; `null` when none of them tells.
 */
export async function foldsCase(names: readonly string[], isThere: (name: string) => Promise<boolean>): Promise<boolean | null> {
  const all = new Set(names)
  const telling = names.find((name) => !all.has(otherCase(name)))
  return telling === undefined ? null : isThere(otherCase(telling))
}

/** ASCII letters the other way round; the name as it is when it has none. */
export const otherCase = (name: string): string =>
  name.replaceAll(/[a-z]/gi, (letter) => (letter < 'a' ? letter.toLowerCase() : letter.toUpperCase()))

/** Equal for names that a host which folds case takes for one. A letter whose capital is more than one letter (\u00df) stays as it is. */
export const folded = (name: string): string =>
  Array.from(name, (letter) => {
    const capital = letter.toUpperCase()
    return capital.length === letter.length ? capital : letter
  }).join('')
