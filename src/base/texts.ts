import { Secret } from './secret.ts'

/** `under`: the key that a text, or the list that it is in, stands under; absent for keys themselves. */
export type TextChange = (text: string, under?: string) => string

/** The same data with every text in it as `change` puts it, keys too; a secret is the text as which it shows itself. */
export const mapTexts = <T>(value: T, change: TextChange): T => mapped(value, change, undefined) as T

function mapped(value: unknown, change: TextChange, under: string | undefined): unknown {
  if (typeof value === 'string') return change(value, under)
  if (value instanceof Secret) return String(value)
  if (Array.isArray(value)) return value.map((item) => mapped(item, change, under))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [change(key), mapped(member, change, key)]))
}
