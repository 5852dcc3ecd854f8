import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { PRODUCT_COUNT, pictureName, shirtPng, signSvg } from './shop-pictures.ts'

export const SHOP_TITLE = 'Blank Label'

/** Where the shop's program finds its database; the file that a move must rewrite. */
export const CONFIG_FILE = 'config/shop.json'

const page = (title: string, body: string): string => `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title><link rel="stylesheet" href="/style.css"><link rel="icon" href="/images/sign.svg"></head>
<body>
<header><a href="/"><img src="/images/sign.svg" alt="${SHOP_TITLE}" width="160"></a></header>
${body}
<footer>${SHOP_TITLE}. Shirts with nothing on the label.</footer>
</body>
</html>
`

const STYLE = `body { font-family: sans-serif; margin: 2rem auto; max-width: 60rem; color: #1d3557; background: #faf8f4 }
.shirts { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1rem }
.shirts a { text-decoration: none; color: inherit }
`

/** `{{…}}` is filled in by the shop from its database. */
const files = (databaseUrl: string): readonly (readonly [path: string, content: string | Buffer])[] => [
  [
    'templates/front.html',
    page(SHOP_TITLE, '<h1>Shirts</h1>\n<div class="shirts">{{shirts}}</div>\n<p>{{orders}} orders so far. Thank you!</p>'),
  ],
  [
    'templates/product.html',
    page('{{name}}', '<h1>{{name}}</h1><img src="{{picture}}" alt="{{name}}"><p>{{price}}</p><a href="/checkout">Buy</a>'),
  ],
  [
    'templates/checkout.html',
    page('Checkout', '<h1>Checkout</h1><form method="post"><input name="email"><button>Buy</button></form>'),
  ],
  ['style.css', STYLE],
  ['images/sign.svg', signSvg(SHOP_TITLE)],
  ...Array.from({ length: PRODUCT_COUNT }, (_, index) => [`images/${pictureName(index + 1)}`, shirtPng(index + 1)] as const),
  [CONFIG_FILE, `${JSON.stringify({ title: SHOP_TITLE, database: databaseUrl }, null, 2)}\n`],
]

/** When the shop's files were changed last, seconds since 1970: for such as changed just now, a snapshot waits a moment. */
const LONG_AGO = 1_750_000_000

/** Writes the shop's files below `folder`: pages, pictures, and a configuration that names the database. */
export async function writeSite(folder: string, databaseUrl: string): Promise<void> {
  for (const [path, content] of files(databaseUrl)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
    await utimes(join(folder, path), LONG_AGO, LONG_AGO)
  }
}
