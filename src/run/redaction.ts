import type { Json } from '../base/json.ts'
import { type Redactor, Secret } from '../base/secret.ts'

/** The same data with every known secret blanked, in keys and values (law 5). */
export function redactJson<T>(value: T, redactor: Redactor): T {
  return redact(value, redactor) as T
}

function redact(value: unknown, redactor: Redactor): unknown {
  if (typeof value === 'string') return redactor.redact(value)
  if (value instanceof Secret) return String(value)
  if (Array.isArray(value)) return value.map((item) => redact(item, redactor))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [redactor.redact(key), redact(member, redactor)]))
}

/** True when blanking the secrets altered the data. */
export const holdsSecret = (value: Json, redacted: Json): boolean => JSON.stringify(value) !== JSON.stringify(redacted)
