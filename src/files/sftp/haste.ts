import type { Client, ParsedKey } from 'ssh2'
import { codeOf } from '../../base/errors.ts'
import { member } from './insides.ts'

/** Hashes of the RSA signatures of RFC 8332, section 3, by their names there. */
const RSA_HASHES: Readonly<Record<string, string>> = { 'rsa-sha2-256': 'sha256', 'rsa-sha2-512': 'sha512' }

/** By these a host ends a connection for other reasons than haste (RFC 4253, section 11.1): too many of them, no way of logging in left, no such user. */
const TOLD = [12, 13, 14, 15]

/** How far a hastened login came. */
interface Hastened {
  /** The keys were exchanged: what came after that was hastened. */
  hasBegun: boolean
  /** The host said what it has against it. */
  isRefused: boolean
}

/** Whether logins on one host are hastened: not any more once one failed that may have failed by it. */
export class Haste {
  #isOff = false
  #isProven = false

  /**
   * Logs in, once more without haste where haste may be to blame; never with credentials that were refused. `after`: the login that this one
   * waits for, and whose failure is its own.
   */
  async login<T>(login: (hasten: (client: Client) => void) => Promise<T>, after?: Promise<unknown>): Promise<T> {
    if (this.#isOff) return login(() => undefined)
    let hastened: Hastened | undefined
    try {
      const standing = await login((client) => {
        hastened = hasten(client)
      })
      this.#isProven = true
      return standing
    } catch (error) {
      const mayBeToBlame = hastened?.hasBegun === true && !hastened.isRefused && codeOf(error) === 'files-unreachable'
      if (this.#isProven || !mayBeToBlame || (await failsAs(after, error))) throw error
      this.#isOff = true
      return login(() => undefined)
    }
  }
}

/** Whether what was waited for failed with this very error. */
export const failsAs = async (after: Promise<unknown> | undefined, error: unknown): Promise<boolean> =>
  after !== undefined &&
  (await after.then(
    () => false,
    (why: unknown) => why === error,
  ))

/**
 * Has ssh2 log in and open SFTP without waiting for answers that say nothing, each of which is a round trip: three of ten on the way to the first
 * request. Call it right after `connect`. It is ssh2's own affair (1.17): where it isn't made as it was there, it waits as ever.
 */
function hasten(client: Client): Hastened {
  const hastened: Hastened = { hasBegun: false, isRefused: false }
  const protocol = member(client, '_protocol')
  if (typeof protocol !== 'object' || protocol === null || !listensForRefusal(protocol, hastened)) return hastened
  client.once('handshake', () => {
    hastened.hasBegun = true
  })
  authenticateAtOnce(protocol, hastened)
  signAtOnce(protocol)
  passOverOtherKeys(protocol)
  beginAtVersion(client)
  return hastened
}

function listensForRefusal(protocol: object, hastened: Hastened): boolean {
  const handlers = member(protocol, '_handlers')
  const [refused, ended] = [member(handlers, 'USERAUTH_FAILURE'), member(handlers, 'DISCONNECT')]
  if (typeof handlers !== 'object' || handlers === null || typeof refused !== 'function' || typeof ended !== 'function')
    return false
  Reflect.set(handlers, 'USERAUTH_FAILURE', (...args: readonly unknown[]): void => {
    hastened.isRefused = true
    Reflect.apply(refused, handlers, args)
  })
  Reflect.set(handlers, 'DISCONNECT', (...args: readonly unknown[]): void => {
    hastened.isRefused ||= TOLD.includes(Number(args[1]))
    Reflect.apply(ended, handlers, args)
  })
  return true
}

/**
 * Asks to be let in together with the request for the service that does so: its acceptance need not be waited for where the server has proven who
 * it is (RFC 4253, section 10). Only with servers that have told which signatures they take (RFC 8308, section 3.1): how to sign hangs on that.
 */
function authenticateAtOnce(protocol: object, hastened: Hastened): void {
  const handlers = member(protocol, '_handlers')
  const [told, accepted] = [member(handlers, 'EXT_INFO'), member(handlers, 'SERVICE_ACCEPT')]
  if (typeof handlers !== 'object' || handlers === null || typeof told !== 'function' || typeof accepted !== 'function') return
  let hasBegun = false
  const begin = (...args: readonly unknown[]): void => {
    if (hasBegun) return
    hasBegun = true
    Reflect.apply(accepted, handlers, args)
  }
  Reflect.set(handlers, 'SERVICE_ACCEPT', begin)
  Reflect.set(handlers, 'EXT_INFO', (...args: readonly unknown[]): void => {
    Reflect.apply(told, handlers, args)
    // The service is asked for right after the keys are exchanged.
    if (hastened.hasBegun) begin(protocol, 'ssh-userauth')
  })
}

/** Sends the signature with the key (RFC 4252, section 7) instead of asking first whether the key would do. An agent's keys are asked for first. */
function signAtOnce(protocol: object): void {
  const authenticate = member(protocol, 'authPK')
  if (typeof authenticate !== 'function') return
  Reflect.set(protocol, 'authPK', (user: string, key: unknown, algorithm?: unknown, sign?: unknown): void => {
    const isCheck = typeof algorithm !== 'function' && typeof sign !== 'function'
    const own = (bytes: Buffer, signed: (signature: Buffer) => void): void => {
      const signature = isPrivate(key) ? key.sign(bytes, RSA_HASHES[String(algorithm)]) : undefined
      if (Buffer.isBuffer(signature)) signed(signature)
      // ssh2 tells what is wrong with it.
      else Reflect.apply(authenticate, protocol, [user, key, algorithm])
    }
    Reflect.apply(authenticate, protocol, [user, key, algorithm, isCheck && isPrivate(key) ? own : sign])
  })
}

/**
 * A host that tells of its other keys (OpenSSH's PROTOCOL file, section 2.5) isn't asked to prove that it has them: nobody here wants to know,
 * and what it answers to the requests that follow would be held back by that answer for a round trip.
 */
function passOverOtherKeys(protocol: object): void {
  const handlers = member(protocol, '_handlers')
  const asked = member(handlers, 'GLOBAL_REQUEST')
  if (typeof handlers !== 'object' || handlers === null || typeof asked !== 'function') return
  Reflect.set(handlers, 'GLOBAL_REQUEST', (...args: readonly unknown[]): void => {
    const [, name, wantsReply] = args
    if (name !== 'hostkeys-00@openssh.com' || wantsReply === true) Reflect.apply(asked, handlers, args)
  })
}

const isPrivate = (key: unknown): key is ParsedKey => {
  const asked = member(key, 'isPrivateKey')
  return typeof asked === 'function' && Reflect.apply(asked, key, []) === true && typeof member(key, 'sign') === 'function'
}

/** The largest requests (limits@openssh.com) are asked for and not waited for: until they are known, they are those that every server of its kind takes. */
function beginAtVersion(client: Client): void {
  const channels = member(client, '_chanMgr')
  const update = member(channels, 'update')
  if (typeof channels !== 'object' || channels === null || typeof update !== 'function') return
  Reflect.set(channels, 'update', (id: unknown, channel: unknown): void => {
    Reflect.apply(update, channels, [id, channel])
    if (typeof channel !== 'object' || channel === null || member(channel, '_version') !== -1) return
    readyAtItsVersion(channel)
    // Its subsystem is asked for in the same turn.
    if (String(member(client, '_remoteVer')).startsWith('OpenSSH')) queueMicrotask(() => beginWithIt(channel))
  })
}

/** SSH_FXP_INIT for version 3 (draft-ietf-secsh-filexfer-02, section 4). */
const INIT = Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3])

/**
 * Begins with SFTP right behind the request for it, not when it is granted. OpenSSH takes requests and contents in their order, and passes over
 * what comes for a channel on which nothing was granted (its channels.c, channel_input_data). It gives no room before it grants: what is sent
 * counts against what it gives then.
 */
function beginWithIt(session: object): void {
  const outgoing = member(session, 'outgoing')
  const protocol = member(session, '_protocol')
  const send = member(protocol, 'channelData')
  const [window, id] = [member(outgoing, 'window'), member(outgoing, 'id')]
  if (typeof outgoing !== 'object' || outgoing === null || typeof send !== 'function' || typeof window !== 'number') return
  if (typeof member(session, '_init') !== 'function' || member(outgoing, 'state') !== 'open') return
  Reflect.set(session, '_init', () => undefined)
  Reflect.set(outgoing, 'window', window - INIT.length)
  Reflect.apply(send, protocol, [id, INIT])
}

function readyAtItsVersion(session: object): void {
  const push = member(session, 'push')
  const emit = member(session, 'emit')
  if (typeof push !== 'function' || typeof emit !== 'function') return
  Reflect.set(session, 'push', (bytes: unknown): unknown => {
    const goesOn: unknown = Reflect.apply(push, session, [bytes])
    if (member(session, '_version') === -1) return goesOn
    Reflect.deleteProperty(session, 'push')
    // Where nothing more is asked it is ready already, and nobody listens any more.
    Reflect.apply(emit, session, ['ready'])
    return goesOn
  })
}
