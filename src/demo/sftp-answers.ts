import type { Attributes, SFTPWrapper } from 'ssh2'
import type { SftpFaults } from './sftp-session.ts'

/** Sends answers, as far as nothing goes wrong with them on purpose. */
export class Answers {
  readonly #sftp: SFTPWrapper
  readonly #faults: SftpFaults
  #held: (() => void)[] = []

  constructor(sftp: SFTPWrapper, faults: SftpFaults) {
    this.#sftp = sftp
    this.#faults = faults
  }

  status(request: number, code: number, text?: string): void {
    this.#send(() => this.#sftp.status(request, code, text))
  }

  handle(request: number, id: Buffer): void {
    this.#send(() => this.#sftp.handle(request, id))
  }

  data(request: number, bytes: Buffer): void {
    this.#send(() => this.#sftp.data(request, bytes))
  }

  name(request: number, names: Parameters<SFTPWrapper['name']>[1]): void {
    this.#send(() => this.#sftp.name(request, names))
  }

  attrs(request: number, attributes: Attributes): void {
    this.#send(() => this.#sftp.attrs(request, attributes))
  }

  #send(send: () => void): void {
    if (this.#faults.mute === true) return
    if (this.#faults.outOfOrder !== true) {
      send()
      return
    }
    this.#held.push(send)
    if (this.#held.length > 1) return
    setImmediate(() => {
      const held = this.#held
      this.#held = []
      for (const each of held.reverse()) each()
    })
  }
}
