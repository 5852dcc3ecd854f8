import type { StepRun } from '../run/step.ts'
import { type Batch, placesOf, rangesOf } from './file-batches.ts'

type Which = Pick<Batch, 'snapshot' | 'batch'>

/** What a run remembers of bringing a snapshot to the new host: for deciding what to look at anew, proof of nothing that stands there. */
export class RestoreRecord {
  readonly #step: string
  readonly #run: StepRun

  constructor(step: string, run: StepRun) {
    this.#step = step
    this.#run = run
  }

  get hasBegun(): boolean {
    return this.#is('begun')
  }

  begin(): Promise<void> {
    return this.#note('begun', true)
  }

  /** The files of the snapshot were put there while it was taken. */
  isRelayed(digest: string): boolean {
    return this.#is(`relayed/${short(digest)}`)
  }

  relayed(digest: string): Promise<void> {
    return this.#note(`relayed/${short(digest)}`, true)
  }

  isSettled(which: Which): boolean {
    return this.#is(`settled/${keyOf(which)}`)
  }

  /** What a batch was to write stands there now. */
  async sent(batch: Batch): Promise<void> {
    const sent = placesOf(batch.write)
    const left = [...this.wrong(batch)].filter((place) => !sent.has(place))
    await this.foundWrong(batch, left)
    await this.#note(`settled/${keyOf(batch)}`, true)
  }

  takenBack(batch: Batch): Promise<void> {
    return this.#note(`settled/${keyOf(batch)}`, false)
  }

  /** Whether a file that was changed on that host can be told by its time: not where it took none of those that it was given. */
  get tellsByTime(): boolean {
    return !this.#is('untimed')
  }

  async noteUntimed(label: string): Promise<void> {
    if (!this.tellsByTime) return
    await this.#note('untimed', true)
    this.#run.emit({
      event: 'note',
      message: `${label} did not take the times of files: they have those of their arrival, which say nothing of what was changed since.`,
    })
  }

  /** Places in a batch of what was found there and isn't what was saved, and was not sent again since. */
  wrong(which: Which): ReadonlySet<number> {
    return placesOf(this.#wrong(which))
  }

  /** `places` in ascending order. */
  async foundWrong(which: Which, places: readonly number[]): Promise<void> {
    const ranges = rangesOf(places)
    if (ranges !== this.#wrong(which)) await this.#run.remember(`${this.#step}/wrong/${keyOf(which)}`, ranges)
  }

  #wrong(which: Which): string {
    return String(this.#run.recall(`${this.#step}/wrong/${keyOf(which)}`) ?? '')
  }

  #is(key: string): boolean {
    return this.#run.recall(`${this.#step}/${key}`) === true
  }

  #note(key: string, value: boolean): Promise<void> {
    return this.#run.remember(`${this.#step}/${key}`, value)
  }
}

const short = (digest: string): string => digest.slice(0, 16)
const keyOf = ({ snapshot, batch }: Which): string => `${short(snapshot)}/${batch}`
