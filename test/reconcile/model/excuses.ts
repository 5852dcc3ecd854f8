import type { View } from './entities.ts'
import type { Values } from './hosts.ts'
import type { Oracle } from './oracle.ts'
import type { Outcome } from './rules.ts'
import type { ModelSchema, ModelTable } from './schema.ts'

export interface Standing {
  readonly schema: ModelSchema
  readonly oracle: Oracle
  readonly things: ReadonlyMap<string, ModelTable>
  readonly outcomes: ReadonlyMap<string, Outcome>
  readonly source: View
  readonly target: View
}

/**
 * Things that can't be carried, with good reason: what they refer to isn't there and can't come, their mail is somebody else's,
 * or something refers to what should go. Found from the certain cases on, so that no two things excuse each other.
 */
export class Excuses {
  readonly #standing: Standing
  readonly #excused = new Set<string>()

  constructor(standing: Standing) {
    this.#standing = standing
    for (let grown = true; grown; ) {
      grown = false
      for (const [name, outcome] of standing.outcomes) {
        const table = standing.things.get(name)
        if (table === undefined || this.#excused.has(name) || !this.#holds(name, table, outcome)) continue
        this.#excused.add(name)
        grown = true
      }
    }
  }

  has(name: string): boolean {
    return this.#excused.has(name)
  }

  /** Whether it belongs to what may be two things, so that it may be two itself, however alike. */
  isOfTwoThings(name: string, trail: ReadonlySet<string> = new Set()): boolean {
    const entity = this.#standing.source.entities.get(name)
    return entity !== undefined && this.lacksParent(entity.table.name, entity.content, trail)
  }

  /** Whether something that the content refers to isn't on the host that receives, and won't come. `trail`: what was asked about on the way. */
  lacksParent(tableName: string, content: Values, trail: ReadonlySet<string> = new Set()): boolean {
    const table = this.#standing.schema.tables.find((each) => each.name === tableName)
    return (table?.references ?? []).some((reference) => {
      const parent = content[reference.name] ?? null
      if (parent === null || trail.has(parent)) return false
      return this.#isTwoThings(parent, trail) || (!this.#standing.target.entities.has(parent) && this.#isStuck(parent))
    })
  }

  /** Born on both hosts under one key, and nobody has said yet that they are one; or of such in turn, so that it waits with them. */
  #isTwoThings(name: string, trail: ReadonlySet<string>): boolean {
    const { outcomes, oracle, source, target } = this.#standing
    const isOnBoth = source.entities.has(name) && target.entities.has(name)
    if (!isOnBoth || oracle.knows(name)) return false
    return outcomes.get(name)?.do !== 'leave' || this.isOfTwoThings(name, new Set([...trail, name]))
  }

  #isStuck(name: string): boolean {
    const outcome = this.#standing.outcomes.get(name)
    return outcome === undefined || outcome.do === 'leave' || outcome.do === 'park' || this.#excused.has(name)
  }

  #holds(name: string, table: ModelTable, outcome: Outcome): boolean {
    if (outcome.do === 'write')
      return this.lacksParent(table.name, outcome.content) || this.#isMailTaken(name, table, outcome.content)
    return outcome.do === 'delete' && [...this.#referring(name)].some((child) => this.#isStuck(child))
  }

  #isMailTaken(name: string, table: ModelTable, content: Values): boolean {
    const { source, target, oracle } = this.#standing
    if (!table.unique || content.mail === null) return false
    for (const [other, entity] of target.entities) {
      if (entity.table !== table || other === name || entity.content.mail !== content.mail) continue
      // Where the mail says who somebody is, a row that is nobody's on the source is the same customer; but what both hosts had once and
      // one has no more isn't merged into another row by itself.
      return !table.match || oracle.knows(name) || source.entities.has(other) || target.entities.has(name) || oracle.knows(other)
    }
    return false
  }

  *#referring(name: string): Generator<string> {
    const { schema, target } = this.#standing
    for (const [child, { table, content }] of target.entities)
      if (child !== name && table.references.some((reference) => content[reference.name] === name)) yield child
    for (const table of schema.tables.filter((each) => each.kind === 'none')) {
      for (const text of target.copies.get(table.name)?.keys() ?? [])
        if (table.references.some((reference) => JSON.parse(text)[reference.name] === name)) yield `copies of ${text}`
    }
  }
}
