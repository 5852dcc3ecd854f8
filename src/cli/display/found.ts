import type { RunEvent } from '../../run/events.ts'
import type { Paint } from './frame.ts'
import { hanging } from './hanging.ts'

const MARKS = {
  error: ['✖ problem', 'red'],
  warning: ['! warning', 'yellow'],
  info: ['· note   ', 'dim'],
} as const

/** A finding in lines, its mark in colour, broken where the terminal ends. */
export function foundLines(
  { severity, message, hint, step }: Extract<RunEvent, { readonly event: 'finding' }>,
  { paint, columns }: { readonly paint: Paint; readonly columns: number | undefined },
): readonly string[] {
  const [mark, colour] = MARKS[severity]
  // Under a step they are indented once more.
  const room = columns === undefined ? undefined : columns - 6
  const indent = ' '.repeat(11)
  const text = `${message.replaceAll('\n', `\n  ${indent}`)}${step === null ? '' : ` (${step})`}`
  const lines = text.split('\n').flatMap((line, index) => hanging(index === 0 ? `${indent}${line}` : line, room))
  const first = `${paint(colour, mark)}  ${lines[0]?.slice(indent.length) ?? ''}`
  const advice = hint === undefined || hint === '' ? [] : hanging(`${indent}→ ${hint}`, room)
  return [first, ...lines.slice(1), ...advice]
}
