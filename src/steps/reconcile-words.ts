import { formatCount } from '../base/units.ts'
import type { ReconcileChange } from '../reconcile/plan-items.ts'
import { type PlanLine, PlanSummary } from '../reconcile/plan-summary.ts'

/** What a plan would do, one line for each table and action with so many examples; a batch of it likewise. */
export const planWords = (changes: readonly ReconcileChange[], examples: number): readonly string[] => {
  const plan = new PlanSummary(examples)
  for (const change of changes) plan.add(change)
  return summaryWords(plan)
}

export const summaryWords = ({ lines, isClearing }: PlanSummary): readonly string[] => [
  ...lines.map(lineWords),
  ...(isClearing ? ['take what is settled off the list of parked rows'] : []),
]

function lineWords(line: PlanLine): string {
  const rows = `${formatCount(line.rows)} ${line.rows === 1 ? 'row' : 'rows'} of ${line.table}`
  const which =
    line.examples.length === 0
      ? ''
      : `: ${line.examples.join(line.action === 'park' || line.examples.some((each) => each.includes(',')) ? '; ' : ', ')}${line.rows > line.examples.length ? ', …' : ''}`
  switch (line.action) {
    case 'insert':
      return `insert ${rows}${which}`
    case 'update':
      return `update ${rows}${which}`
    case 'delete':
      return `delete ${rows}${which}`
    case 'merge':
      return `merge both hosts' versions by the playbook's rules, ${rows}${which}`
    case 'match':
      return `merge into the same thing that is there already, ${rows}${which}`
    case 'remap':
      return `give a fresh number, because theirs is another row's there, to ${rows}${which}`
    case 'copies':
      // A row without a key is named by nothing but its content.
      return `carry ${rows}, which has no key`
    case 'skip':
      return `leave as they are on both hosts, as you decided, ${rows}${which}`
    case 'number':
      return `move the numbering of ${line.table} on: ${line.examples.join(', ')}`
    case 'park':
      return `park for you to decide ${rows}${which}`
  }
}
