/** A piece of a text: as it stands, or a `${…}` to be filled in. */
export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'variable'; readonly name: string; readonly index: number }
  | { readonly kind: 'file'; readonly path: string; readonly index: number }
  | { readonly kind: 'malformed'; readonly text: string; readonly index: number }

const PLACEHOLDER = /\$\$\{|\$\{([^}\n]*)(\}?)/g
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Takes a text apart at its `${NAME}` and `${file:PATH}`; `$${` stands for a plain `${`. Indexes are offsets in the text. */
export function pieces(text: string): readonly Piece[] {
  const found: Piece[] = []
  let end = 0
  const literal = (part: string): void => {
    const last = found.at(-1)
    if (part === '') return
    if (last?.kind === 'text') found[found.length - 1] = { kind: 'text', text: last.text + part }
    else found.push({ kind: 'text', text: part })
  }
  for (const match of text.matchAll(PLACEHOLDER)) {
    literal(text.slice(end, match.index))
    end = match.index + match[0].length
    if (match[0] === '$${') literal('${')
    else found.push(placeholder(match[0], match[1] ?? '', match[2] === '}', match.index))
  }
  literal(text.slice(end))
  return found
}

function placeholder(text: string, inside: string, closed: boolean, index: number): Piece {
  if (closed && VARIABLE.test(inside)) return { kind: 'variable', name: inside, index }
  if (closed && inside.startsWith('file:') && inside.length > 'file:'.length) {
    return { kind: 'file', path: inside.slice('file:'.length), index }
  }
  return { kind: 'malformed', text, index }
}

/** The variables that a text takes from the environment, each once. */
export const variablesOf = (text: string): readonly string[] => [
  ...new Set(pieces(text).flatMap((piece) => (piece.kind === 'variable' ? [piece.name] : []))),
]

const SECRET_NAME = /PASS|PWD|SECRET|TOKEN|CREDENTIAL|PRIVATE|APIKEY|API_KEY|(^|_)KEY$/i

/** True for names such as `OLD_DB_PASSWORD`, whose value is kept out of every message wherever the playbook uses it. */
export const looksSecret = (name: string): boolean => SECRET_NAME.test(name)
