import { z } from 'zod'

/** Plain data: what a journal line, an event or a change may hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined }

/** A JSON object whose optional members may be absent. */
export type JsonObject = { readonly [key: string]: Json | undefined }

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/**
 * The one spelling of a value: object keys sorted by code unit, members that are `undefined` left out, no white space.
 * Two values are the same data exactly when their canonical texts are equal, so it can be hashed or compared.
 */
export function canonicalJson(value: Json | undefined): string {
  if (value === undefined) return 'null'
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => compareText(a, b))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`)
  return `{${members.join(',')}}`
}

const isArray = (value: readonly Json[] | JsonObject): value is readonly Json[] => Array.isArray(value)

/** Accepts any JSON value; for steps whose change has no narrower schema. */
export const jsonSchema: z.ZodType<Json> = z.json() as z.ZodType<Json>
