import { createSecretKey } from 'node:crypto'
import type { Socket } from 'node:net'

/**
 * Lets a socket gather what is written to it during one turn of the event loop and send it in one go. ssh2 writes three small
 * pieces for every packet (length, content, tag): a system call each otherwise, the largest single cost of small requests.
 */
export function gatherWrites(socket: Socket): void {
  const write = socket.write
  let gathering = false
  socket.write = ((...args: Parameters<Socket['write']>): boolean => {
    if (!gathering) {
      gathering = true
      socket.cork()
      setImmediate(() => {
        gathering = false
        socket.uncork()
      })
    }
    return Reflect.apply(write, socket, args)
  }) as Socket['write']
}

/**
 * Prepares ssh2's AES-GCM keys once. Without its native addon ssh2 makes a cipher from the raw key for every packet, and Node then
 * prepares the key anew every time (23 instead of 3.5 microseconds, Node 24.21). The keys are ssh2's own affair: where they aren't
 * found under the names of ssh2 1.17, nothing is changed and it is only slower. Call it after every key exchange (`handshake`).
 */
export function prepareKeys(connection: object): void {
  const protocol: unknown = Reflect.get(connection, '_protocol')
  prepareKey(member(protocol, '_cipher'), '_encKey')
  prepareKey(member(protocol, '_decipher'), '_decipherKey')
}

function prepareKey(holder: unknown, name: string): void {
  const key = member(holder, name)
  if (typeof holder === 'object' && holder !== null && Buffer.isBuffer(key)) Reflect.set(holder, name, createSecretKey(key))
}

const member = (holder: unknown, name: string): unknown =>
  typeof holder === 'object' && holder !== null ? Reflect.get(holder, name) : undefined
