// Writes playbook.schema.json anew. Run it with a Node that strips types: node scripts/playbook-schema.mjs
import { writeFileSync } from 'node:fs'
import { playbookJsonSchemaText } from '../src/playbook/json-schema.ts'

writeFileSync(new URL('../playbook.schema.json', import.meta.url), playbookJsonSchemaText())
