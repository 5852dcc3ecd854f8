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

/**
 * Whether all that could lie below a folder matches, whatever its name: because the folder does, or because a pattern goes on behind it
 * with stars alone (`cache/*`, `cache/**`).
 */
export function allBelowMatch(patterns: readonly string[]): (folder: string) => boolean {
  const expressions = patterns.flatMap((pattern) => {
    const plain = plainOf(pattern)
    const beginning = plain.replace(/(?:\/\*\*)*\/\*{1,2}$/, '')
    return beginning === plain ? [expressionOf(pattern)] : [expressionOf(pattern), below(translate(beginning))]
  })
  return (folder) => {
    const text = withPlaceholders(folder)
    return expressions.some((expression) => expression.test(text))
  }
}

/** Whether anything below a folder may match. False only when nothing can, whatever its name. */
export function anyBelowMayMatch(patterns: readonly string[]): (folder: string) => boolean {
  const reaching = patterns.map(reachOf)
  return (folder) => {
    const parts = withPlaceholders(folder).split('/')
    return reaching.some((reaches) => reaches(parts))
  }
}

/** Whether a pattern may match below a folder of these parts: part by part, as long as nothing in it reaches across folders. */
function reachOf(pattern: string): (parts: readonly string[]) => boolean {
  const plain = plainOf(pattern)
  const sections = plain.split('/')
  if (sections.length === 1 || sections.some((section) => !isBalanced(section))) return () => true
  const across = sections.findIndex((section) => section.includes('**'))
  const expressions = sections
    .slice(0, across === -1 ? sections.length : across)
    .map((each) => new RegExp(`^${translate(each)}$`, 's'))
  return (parts) => expressions.every((expression, index) => index >= parts.length || expression.test(parts[index] ?? ''))
}

/** Whether every brace that opens in a part of a pattern closes there. */
function isBalanced(section: string): boolean {
  let open = 0
  for (const character of section) {
    open += character === '{' ? 1 : character === '}' ? -1 : 0
    if (open < 0) return false
  }
  return open === 0
}

const plainOf = (pattern: string): string => pattern.replace(/^\.?\//, '').replace(/\/+$/, '')

function expressionOf(pattern: string): RegExp {
  const plain = plainOf(pattern)
  return below(plain.includes('/') ? translate(plain) : `(?:.*/)?${translate(plain)}`)
}

const below = (expression: string): RegExp => new RegExp(`^${expression}(?:/.*)?$`, 's')

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
      result += set[0].replace(/^\[[!^]/, '[^/').replaceAll('\\', '\\\\')
      index += set[0].length - 1
    } else if (character === '{' && rest.split('}').length - 1 > braces) {
      braces += 1
      result += '(?:'
    } else if (character === '}' && braces > 0) {
      braces -= 1
      result += ')'
    } else if (character === ',' && braces > 0) result += '|'
    else result += character.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  }
  return result + ')'.repeat(braces)
}
