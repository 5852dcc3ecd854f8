import { crc32, deflateSync } from 'node:zlib'

type Colour = readonly [red: number, green: number, blue: number]

/** Every product has its own picture. */
export const PRODUCT_COUNT = 40

export const pictureName = (number: number): string => `shirt-${String(number).padStart(2, '0')}.png`

const SIDE = 160
/** A T-shirt's outline on a field of 16 × 16, clockwise from the collar. */
const OUTLINE: readonly (readonly [x: number, y: number])[] = [
  [6, 2],
  [8, 3.2],
  [10, 2],
  [15, 5],
  [13.4, 8],
  [11.6, 7.1],
  [11.6, 14.4],
  [4.4, 14.4],
  [4.4, 7.1],
  [2.6, 8],
  [1, 5],
]

/** A PNG of a T-shirt, 160 × 160, in a colour of its own for each number. (PNG specification, third edition, "11 Chunk specifications".) */
export function shirtPng(number: number): Buffer {
  const shirt = colourOf(number * 47)
  const print = colourOf(number * 47 + 180)
  const rows = Array.from({ length: SIDE }, (_, y) => {
    const pixels = Array.from({ length: SIDE }, (_, x) => pixelAt((x * 16) / SIDE, (y * 16) / SIDE, shirt, print))
    return Buffer.from([0, ...pixels.flat()]) // 0: the row is not filtered.
  })
  const header = Buffer.alloc(13)
  header.writeUInt32BE(SIDE, 0)
  header.writeUInt32BE(SIDE, 4)
  header.set([8, 2, 0, 0, 0], 8) // 8 bits a sample, true colour, no interlace.
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** A shop's sign, as SVG. */
export const signSvg = (title: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 80" role="img" aria-label="${title}">
  <rect width="320" height="80" rx="12" fill="#1d3557"/>
  <text x="160" y="52" font-family="sans-serif" font-size="36" fill="#f1faee" text-anchor="middle">${title}</text>
</svg>
`

function pixelAt(x: number, y: number, shirt: Colour, print: Colour): Colour {
  if (!inside(x, y)) return [250, 248, 244]
  const [red, green, blue] = (x - 8) ** 2 + (y - 8.5) ** 2 < 4 ? print : shirt
  const thread = weave(x, y)
  return [red + thread, green + thread, blue + thread]
}

/** The unevenness of cloth: without it a picture would be a few hundred bytes, and no picture of a shop is. */
const weave = (x: number, y: number): number => Math.imul(Math.round(x * 4099) ^ Math.round(y * 7919), 0x9e3779b1) >>> 28

/** Even–odd rule: a ray to the right crosses the outline an odd number of times. */
function inside(x: number, y: number): boolean {
  let odd = false
  OUTLINE.forEach(([ax, ay], index) => {
    const [bx, by] = OUTLINE[(index + 1) % OUTLINE.length] ?? [ax, ay]
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd
  })
  return odd
}

function colourOf(degrees: number): Colour {
  const part = (offset: number): number => Math.round(150 + 90 * Math.cos(((degrees + offset) * Math.PI) / 180))
  return [part(0), part(120), part(240)]
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const check = Buffer.alloc(4)
  check.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, check])
}
