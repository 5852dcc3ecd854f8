import { z } from 'zod'
import { stepKinds } from '../steps/index.ts'
import type { StepKind } from '../steps/world.ts'
import { rootShape } from './schema.ts'

type JsonSchema = { readonly [key: string]: unknown }

/** The playbook's JSON Schema (draft 2020-12), by which editors complete and check. Made of the schemas that the parser uses. */
export function playbookJsonSchema(): JsonSchema {
  const root = schemaOf(z.strictObject(rootShape))
  const properties = root.properties as JsonSchema
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Playbook of migrate',
    description: 'How a live shop moves from its old host to a new one',
    ...root,
    properties: { ...properties, steps: stepsSchema() },
    $defs: { step: stepSchema() },
  }
}

/** As it is kept in playbook.schema.json. */
export const playbookJsonSchemaText = (): string => `${JSON.stringify(playbookJsonSchema(), undefined, 2)}\n`

const schemaOf = (schema: z.ZodType): JsonSchema => {
  const { $schema: _version, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return rest
}

const stepsSchema = (): JsonSchema => ({
  description: 'What is done, in this order; a list within the list runs side by side. The usual order when left out',
  type: 'array',
  minItems: 1,
  items: { anyOf: [{ $ref: '#/$defs/step' }, { type: 'array', minItems: 1, items: { $ref: '#/$defs/step' } }] },
})

const stepSchema = (): JsonSchema => ({
  anyOf: [
    ...stepKinds.filter(needsNoOptions).map(({ name, summary }) => ({ const: name, description: summary })),
    {
      type: 'object',
      minProperties: 1,
      maxProperties: 1,
      additionalProperties: false,
      properties: Object.fromEntries(
        stepKinds.map((kind) => [kind.name, { description: kind.summary, ...schemaOf(kind.options) }]),
      ),
    },
  ],
})

const needsNoOptions = (kind: StepKind): boolean => kind.options.safeParse(undefined).success
