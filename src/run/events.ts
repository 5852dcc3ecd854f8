import type { Json } from '../base/json.ts'

/** One thing that happened, as data. `playbook.md`, "Events", is the contract; the names below are what goes on the wire. */
export type EventBody =
  | {
      readonly event: 'started'
      readonly playbook?: string
      readonly dryRun?: boolean
      readonly resumed?: boolean
      readonly title?: string
    }
  | {
      readonly event: 'finding'
      readonly severity: 'error' | 'warning' | 'info'
      readonly code: string
      readonly message: string
      readonly hint?: string | undefined
    }
  | {
      readonly event: 'change'
      readonly phase: ChangePhase
      readonly change: Json
      readonly summary: string
      readonly undoable: boolean
    }
  | {
      readonly event: 'progress'
      readonly done: number
      readonly total: number | null
      readonly unit: ProgressUnit
      readonly item?: string
    }
  | {
      readonly event: 'watch'
      readonly resolvers: { readonly agreed: number; readonly total: number }
      readonly old: Traffic
      readonly new: Traffic
      readonly headroom: readonly HeadroomWatch[]
      readonly drained: boolean
      /** Seconds for which the old host has been quiet, of those that are needed. */
      readonly quiet?: { readonly seconds: number; readonly of: number }
      /** Servers that still give the old answer, and for how long by what they say. */
      readonly lagging?: readonly Laggard[]
      /** How carrying rows over as they are born goes; absent where that isn't done. */
      readonly carrying?: Carrying
    }
  | {
      readonly event: 'guard'
      /** `failing`: not for long enough yet; `failed`: something is to be decided, or was; `unknown`: our own line may be down. */
      readonly state: 'well' | 'failing' | 'failed' | 'unknown'
      /** What is looked at: `site`, `database`, `storage`, `orders`. */
      readonly watched: readonly string[]
      readonly faults: readonly { readonly what: string; readonly message: string }[]
      /** ISO 8601: when the present spell of failing began. */
      readonly since: string | null
      /** ISO 8601: when it counts as failed if it goes on so; `null` when nothing is awaited. */
      readonly decidesAt: string | null
      readonly failback: 'offer' | 'auto' | 'off'
      /** The new host's, per minute; `null` where it can't be known. */
      readonly orders: { readonly perMinute: number | null; readonly expected: number | null }
    }
  | {
      readonly event: 'reconciled'
      readonly pass: number
      /** The host whose rows are carried and accounted for; the old one when absent. */
      readonly from?: 'new'
      /** Only rows that were born since were looked at: those not accounted for wait for the full pass. */
      readonly newOnly?: true
      readonly tables: Readonly<Record<string, ReconcileCounts>>
      readonly headroom: readonly HeadroomUse[]
      readonly proof: ProofTotals
    }
  | {
      readonly event: 'note'
      readonly message: string
      /** The `watch` that follows says it too: of use where that one isn't always in sight. */
      readonly inFigures?: true
    }
  | { readonly event: 'waiting'; readonly message: string; readonly hint?: string | undefined }
  | { readonly event: 'done'; readonly seconds: number; readonly skipped?: boolean }
  | {
      readonly event: 'failed'
      readonly seconds: number
      readonly code: string
      readonly message: string
      readonly hint?: string | undefined
    }
  | { readonly event: 'finished'; readonly outcome: Outcome; readonly exit: number; readonly seconds: number }

export type ChangePhase = 'planned' | 'applying' | 'applied' | 'undone'
export type ProgressUnit = 'bytes' | 'files' | 'rows' | 'changes' | 'requests' | 'seconds'
export type Outcome = 'ok' | 'failed' | 'parked' | 'waiting' | 'interrupted'

export interface Laggard {
  readonly server: string
  readonly says: string
  readonly ttlLeftSeconds: number | null
}

/** Per minute; `null` where it can't be known (no access log, no orders table). */
export interface Traffic {
  readonly ordersPerMinute: number | null
  readonly hitsPerMinute: number | null
  /** Parts of the host that gave no answer: `database`, `access logs`. Absent: none. */
  readonly unanswered?: readonly string[]
}

export interface Carrying {
  /** ISO 8601: when the last pass ended well; `null` before there was one. */
  readonly lastAt: string | null
  readonly failing: boolean
}

/** Identity values as decimal text: they may be larger than a JavaScript number holds. */
export interface HeadroomUse {
  readonly table: string
  readonly column: string
  readonly raisedBy: string
  readonly used: string
  readonly left: string
  /** Whose numbers these are: the new host's, when the old one's were moved past it. The old host's when absent. */
  readonly host?: 'new'
}

export interface HeadroomWatch {
  readonly table: string
  readonly column: string
  readonly used: string
  readonly left: string
  /** ISO 8601; `null` when at the present rate it doesn't run out. */
  readonly runsOutAt: string | null
  /** As in `HeadroomUse`. */
  readonly host?: 'new'
}

export interface ReconcileCounts {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  readonly merged: number
  readonly remapped: number
  readonly parked: number
}

export interface ProofTotals {
  /** Rows of tracked tables on the old host. */
  readonly rows: number
  readonly accounted: number
  readonly unaccounted: number
}

/** An event as it is emitted: stamped by the runner. `step` is `null` for what concerns the whole run. */
export type RunEvent = { readonly time: string; readonly run: string; readonly step: string | null } & EventBody

/** Whoever shows the run: a screen, plain lines, JSON lines, a test's array. Must not throw and must not block. */
export type EventSink = (event: RunEvent) => void
