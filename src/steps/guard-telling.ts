import { isoTime } from '../base/clock.ts'
import { formatDuration } from '../base/units.ts'
import type { StepRun } from '../run/step.ts'
import type { GuardOptions } from './guard-options.ts'
import type { HostsView } from './guard-sight.ts'
import type { Standing } from './guard-spell.ts'

/** So many spells that came to nothing are worth a warning: a host like that turns customers away too. */
const UNSTEADY_SPELLS = 3

/** What the guard sees, told: every look as an event, and what changes in words, once. */
export class GuardTelling {
  readonly #options: GuardOptions
  readonly #watched: readonly string[]
  #since: number | undefined
  #before: Standing['state'] = 'well'
  #isLineDown = false
  #spells = 0
  #undecided: string | undefined
  #reason = ''

  constructor(options: GuardOptions, watched: readonly string[]) {
    this.#options = options
    this.#watched = watched
  }

  /** What is wrong since when, for people; of the last look that failed. */
  get reason(): string {
    return this.#reason
  }

  show(run: StepRun, { look, faults, orders }: HostsView, standing: Standing): void {
    const now = run.clock.now()
    if (look === 'failing' && this.#since === undefined) this.#since = now
    if (standing.state === 'well') this.#since = undefined
    const words = faults.map(({ message }) => message).join('; ')
    if (look === 'failing' && this.#since !== undefined)
      this.#reason = `The new host has failed since ${isoTime(this.#since).slice(11, 19)} UTC: ${words}`
    this.#tellLine(run, look === 'unknown')
    this.#tellTurn(run, look === 'failing', standing, words)
    run.emit({
      event: 'guard',
      state: look === 'unknown' ? 'unknown' : standing.state,
      watched: this.#watched,
      faults: faults.map(({ what, message }) => ({ what, message })),
      since: this.#since === undefined ? null : isoTime(this.#since),
      decidesAt: standing.state === 'failing' && look === 'failing' ? isoTime(now + this.#leftMs(standing)) : null,
      failback: this.#options.failback,
      orders: { perMinute: orders.perMinute, expected: orders.expected },
    })
  }

  /** Why there is no decision, once for each reason; `undefined` when there is one. */
  undecided(run: StepRun, why: string | undefined): void {
    if (why === undefined || why === this.#undecided) return
    this.#undecided = why
    const isOff = this.#options.failback === 'off'
    run.emit({
      event: 'finding',
      severity: isOff ? 'warning' : 'error',
      code: isOff ? 'failback-off' : 'failback-not-possible',
      message: `${why}.`,
      ...(isOff ? {} : { hint: 'Mend either host. To go back all the same: migrate rollback PLAYBOOK' }),
    })
  }

  #leftMs({ leftMs, leftLooks }: Standing): number {
    return Math.max(leftMs, leftLooks * this.#options.every)
  }

  #tellLine(run: StepRun, isDown: boolean): void {
    if (isDown && !this.#isLineDown) run.emit({ event: 'finding', ...ownLine })
    if (!isDown && this.#isLineDown) run.emit({ event: 'note', message: 'Others can be reached from here again.' })
    this.#isLineDown = isDown
  }

  #tellTurn(run: StepRun, fails: boolean, { state, rings, lastedMs, looks }: Standing, words: string): void {
    const { after, well } = this.#options
    if (rings) {
      run.emit({
        event: 'finding',
        severity: 'error',
        code: 'new-host-failing',
        message: `The new host has failed for ${formatDuration(lastedMs)}, at ${looks} looks in a row: ${words}.`,
        hint: 'To send customers back to the old host, and their orders after them: migrate rollback PLAYBOOK',
      })
    } else if (state === 'failing' && this.#before === 'well') {
      run.emit({
        event: 'note',
        message: `The new host fails: ${words}. If it goes on so for ${formatDuration(after)}, it counts.`,
      })
    } else if (state === 'well' && this.#before === 'failing') this.#tellEnded(run)
    else if (state === 'well' && this.#before === 'failed') {
      this.#undecided = undefined
      run.emit({ event: 'note', message: `The new host has been well for ${formatDuration(well)} again.` })
    }
    if (fails || state !== 'failing') this.#before = state
  }

  #tellEnded(run: StepRun): void {
    this.#spells += 1
    run.emit({ event: 'note', message: 'The new host answers as it should again.' })
    if (this.#spells !== UNSTEADY_SPELLS) return
    run.emit({
      event: 'finding',
      severity: 'warning',
      code: 'new-host-unsteady',
      message: `The new host has failed ${UNSTEADY_SPELLS} times since the cutover, each time for less than ${formatDuration(this.#options.after)}.`,
      hint: 'Look at its error log and at its load before it gets worse.',
    })
  }
}

const ownLine = {
  severity: 'warning',
  code: 'own-line-down',
  message:
    'Neither the new host nor others that answered before can be reached from here: our own line seems to be down. Nothing is decided, and nothing counts until it is up.',
  hint: 'See to this machine’s network, or watch from another one.',
} as const
