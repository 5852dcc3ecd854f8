const [NEWLINE, QUOTE, BACKSLASH, BACKTICK, OPEN, CLOSE, SEMICOLON] = [10, 39, 92, 96, 40, 41, 59]
const INSERT = Buffer.from('INSERT INTO `')
const COMPLETED = '-- Dump completed'
const VALUES = 'VALUES'

type State = 'line start' | 'line' | 'name' | 'before rows' | 'rows' | 'text'

/**
 * Counts the rows of a dump as it goes by: text of mysqldump, mariadb-dump, whose INSERT statements begin a line and hold many rows.
 * Knows the end of a string from what is in it (backslashes, doubled quotes), so nothing that a customer typed is taken for a row.
 */
export class DumpReader {
  /** Rows by table. */
  readonly rows = new Map<string, number>()
  #state: State = 'line start'
  #matched = 0
  #line = ''
  #name: number[] = []
  #word = ''
  #depth = 0
  #escaped = false
  #backtick = false

  /** True when the dump ended as a whole one does. */
  get completed(): boolean {
    return this.#line.startsWith(COMPLETED)
  }

  read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0
      switch (this.#state) {
        case 'line start':
        case 'line':
          at = this.#inLine(chunk, at, byte)
          break
        case 'name':
          this.#inName(byte)
          break
        case 'before rows':
          this.#beforeRows(byte)
          break
        case 'rows':
          this.#inRows(byte)
          break
        case 'text':
          at = this.#inText(chunk, at)
          break
      }
    }
  }

  #inLine(chunk: Buffer, at: number, byte: number): number {
    if (this.#state === 'line start') {
      // An empty line: the one before is still the last that says something.
      if (byte === NEWLINE && this.#matched === 0) return at
      if (byte === INSERT[this.#matched]) {
        this.#matched += 1
        if (this.#matched === INSERT.length) {
          this.#state = 'name'
          this.#name = []
          this.#backtick = false
        }
        return at
      }
      this.#line = INSERT.toString('latin1', 0, this.#matched)
      this.#state = 'line'
    }
    const end = chunk.indexOf(NEWLINE, at)
    if (this.#line.length < 100) this.#line += chunk.toString('latin1', at, Math.min(end === -1 ? chunk.length : end, at + 100))
    if (end === -1) return chunk.length
    this.#begin()
    return end
  }

  #begin(): void {
    this.#state = 'line start'
    this.#matched = 0
  }

  /** Up to the closing backtick; one that is doubled belongs to the name. */
  #inName(byte: number): void {
    if (this.#backtick && byte !== BACKTICK) {
      this.#state = 'before rows'
      this.#backtick = false
      this.#word = ''
      this.#depth = 0
      this.#beforeRows(byte)
      return
    }
    if (byte === BACKTICK && !this.#backtick) {
      this.#backtick = true
      return
    }
    this.#backtick = false
    this.#name.push(byte)
  }

  /** A list of columns may come before VALUES; their names are in backticks. */
  #beforeRows(byte: number): void {
    if (byte === BACKTICK) this.#backtick = !this.#backtick
    if (this.#backtick) return
    this.#word = `${this.#word}${String.fromCharCode(byte)}`.slice(-VALUES.length)
    if (this.#word !== VALUES) return
    this.#state = 'rows'
    this.#depth = 0
  }

  #inRows(byte: number): void {
    if (byte === QUOTE) {
      this.#state = 'text'
      this.#escaped = false
    } else if (byte === OPEN) {
      if (this.#depth === 0) {
        const name = Buffer.from(this.#name).toString('utf8')
        this.rows.set(name, (this.rows.get(name) ?? 0) + 1)
      }
      this.#depth += 1
    } else if (byte === CLOSE) this.#depth -= 1
    else if (byte === SEMICOLON && this.#depth === 0) {
      this.#state = 'line'
      this.#line = ''
    }
  }

  /** A doubled quote ends a text and begins another at once, which comes to the same. */
  #inText(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      if (this.#escaped) this.#escaped = false
      else if (chunk[at] === BACKSLASH) this.#escaped = true
      else if (chunk[at] === QUOTE) {
        this.#state = 'rows'
        return at
      }
    }
    return chunk.length
  }
}

const DEFINER = '(?:`(?:[^`]|``)*`|\\w+)@(?:`(?:[^`]|``)*`|[\\w.%]+)'
/** How the programs write the account behind a view, and behind a routine, trigger or event, each on a line of its own. */
const VIEW = new RegExp(`^/\\*!50013 DEFINER=${DEFINER} (SQL SECURITY \\w+ \\*/)`)
const OTHER = new RegExp(`^(/\\*!\\d+ CREATE\\*/) /\\*!\\d+ DEFINER=${DEFINER}\\*/`)
const PLAIN = new RegExp(`^CREATE DEFINER=${DEFINER} `)

/**
 * A dump without the accounts behind its views and routines: they are the old host's, and an account may only name itself. What is
 * made then belongs to the account that restores. Only where the programs write them is anything changed: the line of a view, and the
 * first one of a statement that ends with ;;. Bytes in, bytes out.
 */
export async function* withoutDefiners(dump: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer[] = []
  let begins = false
  let afterView = false
  const change = (line: Buffer): Buffer => {
    // Only short lines are looked into: rows are long, and none of them begins so.
    const start = line.toString('latin1', 0, Math.min(line.length, 2000))
    const [wasBegun, wasView] = [begins, afterView]
    begins = start.startsWith('DELIMITER ;;') || line.toString('latin1', Math.max(0, line.length - 3)) === ';;\n'
    afterView = start.startsWith('/*!50001 CREATE ALGORITHM=')
    const found = wasView ? VIEW.exec(start) : wasBegun ? (OTHER.exec(start) ?? PLAIN.exec(start)) : null
    if (found === null) return line
    const kept = wasView ? `/*!50013 ${found[1]}` : found[1] === undefined ? 'CREATE ' : `${found[1]} `
    return Buffer.concat([Buffer.from(kept, 'latin1'), line.subarray(found[0].length)])
  }
  for await (const chunk of dump) {
    const lines: Buffer[] = []
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      lines.push(change(Buffer.concat([...rest, chunk.subarray(from, end + 1)])))
      rest = []
      from = end + 1
    }
    if (from < chunk.length) rest.push(chunk.subarray(from))
    if (lines.length > 0) yield Buffer.concat(lines)
  }
  if (rest.length > 0) yield change(Buffer.concat(rest))
}
