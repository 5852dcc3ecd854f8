import { counted, formatCount } from '../base/units.ts'
import type { Status } from '../run/status.ts'

const MARKS = { waiting: '·', running: '▸', finished: '✔', failed: '✖', undone: '↶' } as const
const OUTCOMES = {
  ok: 'done',
  failed: 'failed; run again to resume once the cause is mended',
  parked: 'done, with rows or files parked for a person',
  waiting: 'waits for a person',
  interrupted: 'interrupted at a safe point; run again to resume',
} as const

/** It was interrupted, or waits for a person. */
const STOPPED = '■'

type Run = Extract<Status, { readonly state: 'run' }>

/** Where a run stands, for people. `playbook`: what stands behind `migrate run`. `isAtWork`: a process holds it now. */
export function statusText(status: Status, name: string, playbook: string, isAtWork = false): string {
  if (status.state === 'none') return `No run of ${name} yet. Begin with:  migrate run ${playbook}`
  const steps = status.steps.map((step) => {
    const isStopped = step.status === 'failed' && (status.outcome === 'interrupted' || status.outcome === 'waiting')
    return ` ${isStopped ? STOPPED : MARKS[step.status]} ${step.title} (${step.id})${changeWords(step)}`
  })
  const parts = [
    `Run ${status.run} of ${status.playbook}, begun ${utcWords(status.startedAt)}: ${stateWords(status, isAtWork)}.`,
    ...steps,
    ...failureLines(status),
    ...decisionLines(status),
    ...(status.outcome === 'parked' ? [`To decide about what is parked:  ${resolveCommand(playbook)}`] : []),
    ...endLines(status, playbook),
  ]
  return parts.join('\n')
}

/** `24 changes`; `3 of 24 changes made`; `1 taken back`. */
function changeWords({ begun, applied, undone }: Run['steps'][number]): string {
  const standing = begun - undone
  const made =
    standing === 0
      ? []
      : [applied === standing ? counted(applied, 'change') : `${formatCount(applied)} of ${formatCount(standing)} changes made`]
  const words = [...made, ...(undone === 0 ? [] : [`${formatCount(undone)} taken back`])]
  return words.length === 0 ? '' : `  ${words.join(', ')}`
}

/** Asks about the rows and files that wait for a person. */
export const resolveCommand = (playbook: string): string => `migrate reconcile ${playbook} --resolve`

/** `2026-11-22 03:30 UTC`. */
export const utcWords = (time: string): string => `${time.slice(0, 16).replace('T', ' ')} UTC`

/** DNS was moved back after customers had been on the new host; what was prepared there stays. */
const wentBack = ({ cutOver, rollback, steps }: Run): boolean =>
  !cutOver && rollback === 'none' && steps.some((step) => step.phase === 'cutover' && step.undone > 0)

function stateWords(status: Run, isAtWork: boolean): string {
  if (isAtWork) return 'at work now'
  if (status.rollback === 'complete') return 'taken back'
  if (status.rollback === 'unfinished') return 'being taken back; run  migrate rollback PLAYBOOK  again to go on'
  if (isGoingBack(status) && status.outcome !== null) return 'going back to the old host, not done yet; run again to go on'
  if (wentBack(status) && status.outcome === 'ok') return 'taken back after its cutover'
  const left = status.steps.filter((step) => step.status !== 'finished').length
  if (status.outcome === 'ok' && left > 0) return `done as far as was asked; ${counted(left, 'step')} still to come`
  return status.outcome === null ? 'cut off: its process is gone; run again to resume' : OUTCOMES[status.outcome]
}

const failureLines = ({ failure, outcome }: Run): readonly string[] =>
  failure === null
    ? []
    : [
        `${outcome === 'interrupted' ? 'Stopped' : outcome === 'waiting' ? 'Waits' : 'Failed'}${failure.step === null ? '' : ` in ${failure.step}`}: ${failure.message}`,
        ...(failure.hint === undefined ? [] : [`→ ${failure.hint}`]),
      ]

/** What was decided when the new host failed; what is to be done about it is said below. */
const decisionLines = ({ goingBack }: Run): readonly string[] => {
  if (goingBack === null) return []
  const who = goingBack.by === 'guard' ? 'the guard decided' : 'a person decided'
  const what = goingBack.decision === 'back' ? 'to go back' : 'to stay on the new host'
  return [`At ${utcWords(goingBack.at)} ${who} ${what}: ${goingBack.reason}.`]
}

/** It was decided to go back, and customers are still sent to the new host. */
const isGoingBack = ({ goingBack, cutOver }: Run): boolean => goingBack?.decision === 'back' && cutOver

const REMAINING_SHOWN = 3

function endLines(status: Run, playbook: string): readonly string[] {
  if (wentBack(status)) {
    return [
      'Customers are on the old host again; what was prepared on the new host stands there as it was.',
      ...(status.goingBack?.decision === 'back' && status.outcome !== 'ok'
        ? ['What they ordered on the new host is not all on the old one yet.']
        : []),
      `Should orders still have arrived on the new host,  migrate rollback ${playbook}  carries them over too.`,
    ]
  }
  const where = status.cutOver ? 'Customers may be on the new host.' : 'Customers are on the old host.'
  const next = status.steps.find((step) => step.id === status.next)
  const ahead =
    next === undefined || status.rollback !== 'none' ? [] : [`Next: ${next.title}. To go on:  migrate run ${playbook}`]
  const { undoable, remaining } = status.wayBack
  const command = `The way back:  migrate rollback ${playbook} `
  const back = status.cutOver
    ? [`${command} moves DNS back and carries the new host's orders to the old one; what was prepared on the new host stays.`]
    : undoable === 0
      ? []
      : [`${command} takes back ${counted(undoable, 'change')}.`]
  const shown = remaining.slice(0, REMAINING_SHOWN)
  const more = remaining.length > shown.length ? `; and ${formatCount(remaining.length - shown.length)} more` : ''
  const lasting = remaining.length === 0 ? [] : [`It can't take back: ${shown.join('; ')}${more}.`]
  return [where, ...ahead, ...back, ...lasting]
}
