import { nameBytes } from '../raw-names.ts'
import { shellWord } from './command.ts'
import type { SftpPool } from './pool.ts'
import { ProgramLane } from './program-lane.ts'

/** What the program says first, so that it is known to be there. */
const HELLO = 'ready\n'
const [DONE, NOT_DONE] = ['+', '-']
/** Of a file: lengths of its path, of its part's and of its content, mode, time. */
const HEADER = 20

/**
 * Takes in files one after the other, in Perl, which nearly every host has: header, path, path of the part, content. Each is written under the
 * name of its part, which nobody else may read and no link may stand in for (O_EXCL), gets its mode and its time, and is renamed; what an earlier
 * try left under that name goes first. Answers a sign for each, whether it stands under its name or nothing was changed. The names are never
 * read by a shell. One without a path asks it to bring what was written to the disk. It says what it has to say before it waits for more.
 */
const PROGRAM = [
  'use strict; use Fcntl;',
  'my $r=shift; chdir($r) or exit 3; binmode STDIN; binmode STDOUT;',
  `my($b,$o)=("","ready\\n");`,
  'sub take { my $n=shift;',
  'while(length($b)<$n){',
  'while(length $o){my $w=syswrite(STDOUT,$o); defined $w or exit 4; substr($o,0,$w,"")}',
  'my $r=sysread(STDIN,$b,262144,length $b); defined $r or exit 4; $r or exit(length($b)?5:0)}',
  'return substr($b,0,$n,"") }',
  'while(1){',
  'my($l,$k,$s,$m,$t)=unpack("N5",take(20));',
  `if(!$l){$o.=system("sync","-f",$r)==0||system("sync")==0?"${DONE}":"${NOT_DONE}"; next}`,
  'my($p,$f,$c)=(take($l),take($k),take($s)); my($h,$d)=(undef,0);',
  'my $way=O_WRONLY|O_CREAT|O_EXCL;',
  'if(sysopen($h,$f,$way,0600) or (unlink($f) and sysopen($h,$f,$way,0600))){',
  'my $w=0; while($w<$s){my $n=syswrite($h,$c,$s-$w,$w); defined $n or last; $w+=$n}',
  '$d=$w==$s && chmod($m,$h) && utime($t,$t,$h); $d=close($h) && $d; $d&&=rename($f,$p); $d or unlink($f)}',
  `$o.=$d?"${DONE}":"${NOT_DONE}" }`,
].join(' ')

/** A file that can be received. */
export interface Received {
  /** Both below the root. */
  readonly path: string
  readonly part: string
  readonly bytes: Buffer
  readonly mode: number
  readonly mtimeSeconds: number
}

/** Whether a time can be told to it: whole seconds from 1970 to 2106. */
export const canBeTold = (mtimeSeconds: number): boolean => mtimeSeconds >= 0 && mtimeSeconds < 2 ** 32

/** One such program at work on the host. */
export class Receiver extends ProgramLane {
  /** Resolves when it is known to be there, or is over. */
  readonly shown: Promise<void>
  isReady = false
  #show: () => void = () => undefined
  #heard = ''

  /** `root`: absolute, on the host. */
  constructor(pool: SftpPool, root: string) {
    // `-C0`: whatever the account's environment (PERL_UNICODE) has Perl do with texts, what is written are bytes.
    super(pool, `exec perl -C0 -e ${shellWord(PROGRAM)} ${shellWord(root)}`)
    this.shown = new Promise((resolve) => {
      this.#show = resolve
    })
    void this.ended.then(() => this.#show())
  }

  /** Resolves with whether the file stands under its name. Its folder is there, and is no link. */
  receive({ path, part, bytes, mode, mtimeSeconds }: Received): Promise<boolean> {
    const names = [nameBytes(path), nameBytes(part)]
    const header = Buffer.allocUnsafe(HEADER)
    const numbers = [...names.map(({ length }) => length), bytes.length, mode & 0o7777, Math.floor(mtimeSeconds)]
    for (const [index, number] of numbers.entries()) header.writeUInt32BE(number, 4 * index)
    return this.give([header, ...names, bytes])
  }

  /** Resolves with whether all that was written is on the host's disk; on a slow one that takes minutes. */
  async sync(): Promise<boolean> {
    this.mayTakeLong = true
    try {
      return await this.give([Buffer.alloc(HEADER)])
    } finally {
      this.mayTakeLong = false
    }
  }

  protected override hear(bytes: Buffer): void {
    let signs = this.#heard + bytes.toString('latin1')
    if (!this.isReady) {
      this.#heard = signs
      if (signs.length < HELLO.length) return
      if (!signs.startsWith(HELLO)) {
        this.stop()
        return
      }
      signs = signs.slice(HELLO.length)
      this.#heard = ''
      this.isReady = true
      this.#show()
    }
    for (const sign of signs) {
      if (sign === DONE || sign === NOT_DONE) this.answered(sign === DONE)
      else this.stop()
    }
  }
}
