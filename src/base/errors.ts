/** How the command ends, and therefore its exit code (playbook.md, "exit code"). */
export type Ending = 'failed' | 'usage' | 'waiting' | 'interrupted'

export interface MigrateErrorOptions {
  /** What the reader should do next, in one or two sentences. */
  readonly hint?: string
  readonly cause?: unknown
  /** `failed` unless said otherwise. */
  readonly ending?: Ending
  /** True only when the one who throws knows that doing the same again can neither double nor damage anything. */
  readonly retrySafe?: boolean
}

/**
 * An error for the person at 6 a.m.: `message` says what happened, to what, and what was left untouched; `hint` says what to do.
 * `code` is stable, in kebab-case, for scripts and tests.
 */
export class MigrateError extends Error {
  override readonly name = 'MigrateError'
  readonly code: string
  readonly hint: string | undefined
  readonly ending: Ending
  readonly retrySafe: boolean

  constructor(code: string, message: string, options: MigrateErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.ending = options.ending ?? 'failed'
    this.retrySafe = options.retrySafe ?? false
  }
}

/** A line of `check`: something found, how bad it is, and what to do about it. An `error` stops the run. */
export interface Finding {
  readonly severity: 'error' | 'warning' | 'info'
  /** Stable, kebab-case. */
  readonly code: string
  readonly message: string
  readonly hint?: string | undefined
  /** How a command ends that this stops; `failed` unless said otherwise. */
  readonly ending?: Ending
}

/** The text of anything that was thrown. */
export const messageOf = (error: unknown): string => {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}

/** The system's or driver's error code (`ECONNREFUSED`, `23505`, `ELOGIN`), if the thing thrown carries one. */
export const codeOf = (error: unknown): string | undefined => {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' || typeof error.code === 'number' ? String(error.code) : undefined
}
