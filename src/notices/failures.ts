import { type Finding, MigrateError, messageOf } from '../base/errors.ts'

const untouched = 'The migration is not touched by this.'

/** May arrive when it is tried again. */
export const undelivered = (label: string, why: string, cause?: unknown): MigrateError =>
  new MigrateError('notice-undelivered', `The ${label} didn't take a message: ${why}. ${untouched}`, {
    hint: 'Is the receiver up, and may this machine reach it?',
    retrySafe: true,
    cause,
  })

/** Trying again would change nothing. */
export const refused = (label: string, why: string, hint: string, cause?: unknown): MigrateError =>
  new MigrateError('notice-refused', `The ${label} refused a message: ${why}. ${untouched}`, { hint, cause })

/** What a channel's check throws or finds, as a warning: nobody is kept from migrating by it. */
export const unreachable = (label: string, error: unknown, hint: string): Finding => ({
  severity: 'warning',
  code: 'notice-channel-unreachable',
  message: `Nobody would be told by ${label}: ${messageOf(error).replace(/\.$/, '')}.`,
  hint,
})

/** One short line of what a receiver said. */
export const oneLine = (text: string): string => {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line
}
const LONGEST = 160
