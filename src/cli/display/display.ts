import type { RunEvent } from '../../run/events.ts'
import type { Ask } from '../../run/session.ts'
import type { Sequence } from '../../run/step.ts'

/** Something that a command tells besides the events of a run: `--json` prints it as a line like the others. */
export type CommandEvent = { readonly time: string; readonly run: string | null; readonly step: null; readonly event: string } & {
  readonly [key: string]: unknown
}

/** What the screen must know before the first event. */
export interface ShowOptions {
  readonly name: string
  /** As the person named it, for "migrate rollback …". */
  readonly playbook: string
  readonly sequence: Sequence
}

/** A way to show a command's events. Where a terminal is, it can ask too. */
export interface Display {
  begin(options: ShowOptions): void
  sink(event: RunEvent): void
  /** What isn't an event of a run; `text` is how a person reads it. */
  tell(event: CommandEvent, text: string): void
  /** What is being looked at, before anything happens: shown in passing where somebody sees it. */
  checking(what: string): void
  /** A word to the person at once: "stopping at the next safe point". Not part of `--json`. */
  notice(text: string): void
  readonly ask: Ask | undefined
  close(): Promise<void>
}
