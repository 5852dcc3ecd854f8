import type { Deed } from './deeds.ts'
import type { History, Pass } from './history.ts'
import type { ModelTable } from './schema.ts'

/** A history as a person reads it. */
export function tell({ schema, beginning, events, back }: History): string {
  const lines = [`headroom ${schema.headroom}`, ...schema.tables.map(tableText), 'beginning:', ...beginning.map(eventText)]
  lines.push('then:', ...events.map(eventText))
  if (back !== null) lines.push('and back:', ...back.map(eventText))
  return lines.join('\n')
}

function tableText(table: ModelTable): string {
  const references = table.references.map(
    (each) => `${each.name}${each.nullable ? '?' : ''} -> ${each.parent}${each.declared ? '' : ' (undeclared)'}`,
  )
  const rules = [
    `conflict ${table.conflict}`,
    ...(table.unique ? [table.match ? 'match mail' : 'unique mail'] : []),
    ...(table.add ? ['add amount'] : []),
    ...(table.noteRule === 'none' ? [] : [`note ${table.noteRule}`]),
    ...(table.ignore ? ['ignore hits'] : []),
  ]
  return `  ${table.name} ${table.kind} (${table.key}) [${references.join(', ')}] ${rules.join(', ')}`
}

function eventText(event: Deed | Pass): string {
  if (event.what !== 'pass') return `  ${JSON.stringify(event)}`
  const { fault, meanwhile, again } = event
  const wrong = fault === null ? '' : `, ${fault.kind} at ${fault.at}`
  const during = meanwhile.map(({ at, deed }) => `\n    before transaction ${at}: ${JSON.stringify(deed)}`)
  return `  pass${wrong}${again ? ', applied again' : ''}${during.join('')}`
}
