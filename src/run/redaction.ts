import type { Json } from '../base/json.ts'
import type { Redactor } from '../base/secret.ts'
import { mapTexts } from '../base/texts.ts'

/** The same data with every known secret blanked, in keys and values (law 5). */
export const redactJson = <T>(value: T, redactor: Redactor): T => mapTexts(value, (text) => redactor.redact(text))

/** True when blanking the secrets altered the data. */
export const holdsSecret = (value: Json, redacted: Json): boolean => JSON.stringify(value) !== JSON.stringify(redacted)
