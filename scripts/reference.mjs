// Writes the README's reference anew: node scripts/with-node.mjs node scripts/reference.mjs
import { readFileSync, writeFileSync } from 'node:fs'
import { withReference } from './reference-text.ts'

const readme = new URL('../README.md', import.meta.url)
writeFileSync(readme, withReference(readFileSync(readme, 'utf8')))
