import { withPlaceholders } from './raw-names.ts'

/**
 * Whether a path matches one of the patterns: `*` and `?` within a name, `**` across folders, `[abc]`, `{a,b}`. A pattern without
 * `/` is looked for at every depth. What lies below a folder that matches matches too.
 */
export function globs(patterns: readonly string[]): (path: string) => boolean {
  const expressions = patterns.map(expressionOf)
  return (path) => {
    const text = withPlaceholders(path)
    return expressions.some((expression) => expression.test(text))
  }
}

function expressionOf(pattern: string): RegExp {
  const plain = pattern.replace(/^\.?\//, '').replace(/\/+$/, '')
  const anywhere = !plain.includes('/')
  return new RegExp(`^${anywhere ? '(?:.*/)?' : ''}${translate(plain)}(?:/.*)?$`, 's')
}

function translate(pattern: string): string {
  let result = ''
  let braces = 0
  for (let index = 0; index < pattern.length; index += 1) {
    const character = pattern.charAt(index)
    const rest = pattern.slice(index)
    const set = /^\[[!^]?[^\]/]+\]/.exec(rest)
    if (rest.startsWith('**/')) {
      result += '(?:.*/)?'
      index += 2
    } else if (rest.startsWith('**')) {
      result += '.*'
      index += 1
    } else if (character === '*') result += '[^/]*'
    else if (character === '?') result += '[^/]'
    else if (set !== null) {
      result += set[0].replace(/^\[!/, '[^').replaceAll('\\', '\\\\')
      index += set[0].length - 1
    } else if (character === '{' && rest.includes('}')) {
      braces += 1
      result += '(?:'
    } else if (character === '}' && braces > 0) {
      braces -= 1
      result += ')'
    } else if (character === ',' && braces > 0) result += '|'
    else result += character.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  }
  return result
}
