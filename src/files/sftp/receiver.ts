import { laneFolder, lanePart, parentOf } from '../paths.ts'
import { nameBytes } from '../raw-names.ts'
import { shellWord } from './command.ts'
import { SYNC } from './on-disk.ts'
import type { SftpPool } from './pool.ts'
import { ProgramLane } from './program-lane.ts'

/** What the program says first, so that it is known to be there. */
const HELLO = 'ready\n'
const [DONE, NOT_DONE] = ['+', '-']
/** What it says by itself would be taken for signs. */
const SYNCED = `exec </dev/null >&2; ${SYNC}`
/** Of a file: lengths of its path, of its part's and of its content, mode, time. */
const HEADER = 20

/**
 * Takes in files one after the other, in Perl, which nearly every host has: header, path, path of the part, content. Each is written under a
 * name of the program's own in its folder, which nobody else may read and no link may stand in for (O_EXCL), gets its mode and its time, and is
 * renamed; what an earlier try left under the name of its part goes first. Answers a sign for each, whether it stands under its name or nothing
 * was changed. The names are never read by a shell. It says what it has to say before it waits for more. Whatever it opens and renames it finds
 * through an empty folder that was made for it alone: once that is removed, it can do nothing more (adrift.ts). Where the path is empty it removes
 * that folder itself, as it does when it ends, or, with a mode, brings what was written to the disk.
 */
const PROGRAM = [
  'use strict; use Fcntl;',
  'my($root,$e,$own,$sync)=@ARGV; chdir($root) or exit 3; binmode STDIN; binmode STDOUT;',
  `my($b,$o)=("","ready\\n"); END{rmdir $e}`,
  'sub take { my $n=shift;',
  'while(length($b)<$n){',
  'while(length $o){my $w=syswrite(STDOUT,$o); defined $w or exit 4; substr($o,0,$w,"")}',
  'my $r=sysread(STDIN,$b,262144,length $b); defined $r or exit 4; $r or exit(length($b)?5:0)}',
  'return substr($b,0,$n,"") }',
  'while(1){',
  'my($l,$k,$s,$m,$t)=unpack("N5",take(20)); my($p,$f,$c)=(take($l),take($k),take($s)); my($h,$d)=(undef,0);',
  `if($l==0){$m or rmdir($e); $o.=!$m||system("sh","-c",$sync,"sh",$root)==0?"${DONE}":"${NOT_DONE}"; next}`,
  'my $way=O_WRONLY|O_CREAT|O_EXCL;',
  'unlink("$e/../$f"); $f=~s{[^/]*\\z}{$own}; my $g="$e/../$f";',
  'if(sysopen($h,$g,$way,0600) or (unlink($f) and sysopen($h,$g,$way,0600))){',
  'my $w=0; while($w<$s){my $n=syswrite($h,$c,$s-$w,$w); defined $n or last; $w+=$n}',
  '$d=$w==$s && chmod($m,$h) && utime($t,$t,$h); $d=close($h) && $d; $d&&=rename($g,"$e/../$p"); $d or unlink($f)}',
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
  /** Its folder may be there. */
  hadFolder = false
  readonly lane: string
  #show: () => void = () => undefined
  #heard = ''
  #hasFolder = false
  #resting: Promise<unknown> = Promise.resolve()
  /** Of the files that it was given and has not answered yet. */
  readonly #folders: string[] = []

  /** `root`: absolute, on the host. `lane`: what its folder and its parts are named by. */
  constructor(pool: SftpPool, root: string, lane: string) {
    // `-C0`: whatever the account's environment (PERL_UNICODE) has Perl do with texts, what is written are bytes.
    super(
      pool,
      `exec perl -C0 -e ${shellWord(PROGRAM)} ${shellWord(root)} ${laneFolder(lane)} ${lanePart(lane)} ${shellWord(SYNCED)}`,
    )
    this.lane = lane
    this.shown = new Promise((resolve) => {
      this.#show = resolve
    })
    void this.ended.then(() => this.#show())
  }

  /** It is there, and so is its folder: it can be given files. */
  get isInside(): boolean {
    return this.isReady && this.#hasFolder
  }

  /** Resolves with whether the file stands under its name. Its folder is there, and is no link. */
  receive({ path, part, bytes, mode, mtimeSeconds }: Received): Promise<boolean> {
    const [name, partName] = [nameBytes(path), nameBytes(part)]
    const header = Buffer.allocUnsafe(HEADER + name.length + partName.length)
    header.writeUInt32BE(name.length, 0)
    header.writeUInt32BE(partName.length, 4)
    header.writeUInt32BE(bytes.length, 8)
    header.writeUInt32BE(mode & 0o7777, 12)
    header.writeUInt32BE(Math.floor(mtimeSeconds), 16)
    header.set(name, HEADER)
    header.set(partName, HEADER + name.length)
    this.#folders.push(parentOf(path))
    return this.give(header, bytes)
  }

  /** Has its folder made, by `make`, before it is given a file: one that it made by itself it might make at any time. */
  async enter(make: () => Promise<void>): Promise<void> {
    await this.#resting
    if (this.isOver) return
    this.hadFolder = true
    await make()
    this.#hasFolder = true
  }

  /** Resolves when its folder is gone, or it is over. */
  async rest(): Promise<void> {
    if (this.#hasFolder) {
      this.#hasFolder = false
      this.#folders.push('')
      this.#resting = this.give(Buffer.alloc(HEADER))
    }
    await this.#resting
  }

  /** The folders of the files that it was given and has not answered. */
  get inHand(): ReadonlySet<string> {
    return new Set(this.#folders)
  }

  /** Resolves with whether all that was written is on the host's disk; on a slow one that takes minutes. */
  async sync(): Promise<boolean> {
    this.mayTakeLong = true
    try {
      const header = Buffer.alloc(HEADER)
      header.writeUInt32BE(1, 12)
      this.#folders.push('')
      return await this.give(header)
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
      if (sign === DONE || sign === NOT_DONE) {
        this.#folders.shift()
        this.answered(sign === DONE)
      } else this.stop()
    }
  }
}
