/** Keeps other people's text from breaking a table or becoming markup. */
export const cell = (text: string): string =>
  text
    .replaceAll('\\', '\\\\')
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;')
    .replace(/\s*\r?\n\s*/g, ' ')

/** A Markdown table; `numbers` says from which column on cells stand at the right. */
export const tableLines = (
  head: readonly string[],
  rows: readonly (readonly string[])[],
  numbers = head.length,
): readonly string[] => [
  `| ${head.join(' | ')} |`,
  `| ${head.map((_, index) => (index < numbers ? '---' : '---:')).join(' | ')} |`,
  ...rows.map((row) => `| ${row.join(' | ')} |`),
]
