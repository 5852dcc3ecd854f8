/** Parts of a name that say that its value is secret. */
const WORDS = String.raw`(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|salt|nonce|signature|(?<=[\w.-])key)`
const NAME = String.raw`[\w.:-]*${WORDS}[\w.:-]*`
const HIDDEN = '***'

const RULES: readonly (readonly [RegExp, string])[] = [
  // //user:password@host
  [/(\/\/[^\s:/@"'<>]*:)[^\s"'<>]+(?=@)/g, `$1${HIDDEN}`],
  // <add key="SmtpPassword" value="…"/>
  [
    new RegExp(String.raw`(\b(?:key|name)\s*=\s*(["'])${NAME}\2\s+(?:value|connectionString)\s*=\s*(["'])).*?\3`, 'gi'),
    `$1${HIDDEN}$3`,
  ],
  // SMTP_PASSWORD=… to the end of the line
  [new RegExp(String.raw`^(\s*(?:export\s+)?${NAME}\s*=\s*).+$`, 'gim'), `$1${HIDDEN}`],
  // 'password' => '…', "ApiToken": "…", define('DB_PASSWORD', '…'), $password = '…', smtp_password: "…"
  [new RegExp(String.raw`((?:${NAME}|(["'])key\2)["'\]]*\s*(?:=>|[=:,])\s*)(["'])(?:\\.|(?!\3).)*\3?`, 'gi'), `$1$3${HIDDEN}$3`],
  // Server=…;Password=…;Database=…
  [new RegExp(String.raw`(${NAME}\s*[=:]\s*)(?!["'*]|&quot;|=)[^;<>"']+`, 'gi'), `$1${HIDDEN}`],
  [new RegExp(String.raw`(${NAME}\s*=\s*)&quot;.*?&quot;`, 'gi'), `$1${HIDDEN}`],
  // Keys and tokens by their looks.
  [/(?<![\w+/=-])(?=[\w+/=-]*[a-z])(?=[\w+/=-]*[A-Z])(?=[\w+/=-]*\d)[\w+/-]{20,}={0,2}(?![\w+/-])/g, HIDDEN],
  [/(?<!\w)(?=[a-f\d]*\d)[a-f\d]{32,}(?!\w)/gi, HIDDEN],
]

/** A text for people to read, the values that look like secrets hidden, known to be some or not. Rather too much than too little. */
export const hideSecrets = (text: string): string => RULES.reduce((result, [pattern, by]) => result.replace(pattern, by), text)
