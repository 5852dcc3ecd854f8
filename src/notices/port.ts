import type { Finding } from '../base/errors.ts'
import type { Notice } from '../base/notice.ts'

/**
 * A channel by which people are told. The contract is tested by test/contract/notifier.ts. Labels and errors hold no secret; errors are
 * MigrateErrors: `notice-undelivered` (retrySafe: the receiver may get it twice, which harms nobody) and `notice-refused` (trying again
 * would change nothing).
 */
export interface Notifier {
  /** "Slack at hooks.slack.com", "mail to founder@shop.example": no path, no password. */
  readonly label: string
  /** Whether a message would arrive, as far as can be seen without sending one. Sends and writes nothing. Its findings are warnings. */
  check(signal: AbortSignal): Promise<readonly Finding[]>
  /** Resolves once the receiver has taken it. Ends soon after the signal aborts, whatever the receiver does; throws its reason then. */
  send(notice: Notice, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
