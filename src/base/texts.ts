import { Secret } from './secret.ts'

/** The same data with every text in it as `change` puts it, keys too; a secret is the text as which it shows itself. */
export const mapTexts = <T>(value: T, change: (text: string) => string): T => mapped(value, change) as T

function mapped(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value)
  if (value instanceof Secret) return String(value)
  if (Array.isArray(value)) return value.map((item) => mapped(item, change))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [change(key), mapped(member, change)]))
}
