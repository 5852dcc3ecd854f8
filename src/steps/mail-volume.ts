import type { Finding } from '../base/errors.ts'
import { formatCount } from '../base/units.ts'
import type { StepRun } from '../run/step.ts'
import { HostTraffic } from './watch-traffic.ts'
import type { MailTarget, World } from './world.ts'

/** Long enough that an order a minute or more is mostly seen, short enough to wait for. */
const LOOK_MS = 10_000
const MINUTES = 60

/**
 * An address that never sent mail is trusted slowly; above so many an hour receivers hold back or refuse a new one, and many hosts
 * have a limit of some hundred.
 */
const MANY_AN_HOUR = 200

/** How many mails an hour the new host will send, from what the playbook says or from the old shop's orders at this moment. */
export async function volumeFindings(world: World, mail: MailTarget, run: StepRun): Promise<readonly Finding[]> {
  if (mail.hourly !== undefined) return finding(mail.hourly, 'as the playbook says', mail)
  const orders = await ordersAnHour(world, run)
  if (orders === undefined || orders === 0) return []
  return finding(
    Math.ceil(orders * mail.perOrder),
    `${formatCount(Math.round(orders))} orders an hour at this moment, ${mail.perOrder} mails each`,
    mail,
  )
}

async function ordersAnHour(world: World, run: StepRun): Promise<number | undefined> {
  if (world.old.database === undefined) return undefined
  const traffic = new HostTraffic(world.old, world, undefined)
  const first = await traffic.sample(run)
  // One that can't be asked is told by those who ask it for more.
  if (first.sample === undefined) return undefined
  await run.clock.sleep(LOOK_MS, run.signal)
  const { ordersPerMinute } = await traffic.sample(run)
  return ordersPerMinute === null ? undefined : ordersPerMinute * MINUTES
}

function finding(hourly: number, how: string, mail: MailTarget): readonly Finding[] {
  const sender = mail.via === undefined ? 'the new host’s own address' : `${mail.via.host}`
  const isMany = hourly > MANY_AN_HOUR
  return [
    {
      severity: isMany ? 'warning' : 'info',
      code: 'mail-volume',
      message: `About ${formatCount(hourly)} mails an hour are to be expected from ${sender} (${how}).`,
      hint: isMany
        ? `Ask how many an hour ${mail.via === undefined ? 'the new host' : mail.via.host} allows${mail.via === undefined ? ', and send through a mail service at first: receivers refuse a flood from an address that they never saw' : ''}.`
        : 'Ask the new host how many an hour it allows.',
    },
  ]
}
