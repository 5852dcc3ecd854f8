/** Something that people are told of while they aren't looking, as every channel gets it. Holds no secret. */
export interface Notice {
  /** The same each time that it is tried again: receivers may tell doubles by it. */
  readonly id: string
  /** The playbook's name. */
  readonly playbook: string
  readonly run: string
  readonly step: string | null
  /** ISO 8601. */
  readonly time: string
  /** What kind of thing it is: a word that `on:` takes. */
  readonly topic: string
  readonly severity: 'error' | 'warning' | 'info'
  /** A finding's or an error's code, where there is one. */
  readonly code: string | null
  /** One line. */
  readonly title: string
  /** The whole, for people: what happened, to what, what to do. */
  readonly text: string
}
