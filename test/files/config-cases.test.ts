import { describe, expect, it } from 'vitest'
import { CONFIG_FORMATS, type FormatKey } from '../../src/files/config/formats.ts'
import { setValues } from '../../src/files/config/set-values.ts'

const set = (
  key: FormatKey,
  text: string,
  path: string | readonly string[],
  value: string | number | boolean,
  over = false,
): string =>
  setValues(CONFIG_FORMATS[key], text, [{ path: typeof path === 'string' ? [path] : path, value }], {
    ascii: false,
    overExpressions: over,
  })

const failure = (work: () => string): { readonly code?: string; readonly message: string; readonly hint?: string } => {
  try {
    work()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('nothing was thrown')
}

describe('web.config', () => {
  const text = `<?xml version="1.0"?>\r\n<!-- <add name="Shop" connectionString="old"/> -->\r\n<configuration xmlns="x">
  <connectionStrings>
\t<add name='Shop'   connectionString='Server=old;Password="a&amp;b"' providerName="x" /> <!-- keep -->
    <clear/><add connectionString="Server=old" name="Log"></add>
  </connectionStrings>
  <appSettings file="user.config"><add key="Url" value="http://old"/></appSettings>
  <system.net><mailSettings><smtp from="a@b"><network host="old" port="25"/></smtp></mailSettings></system.net>
  <applicationSettings><Shop><setting name="A"><value>one</value></setting><setting name="B"><value>two &lt; 3</value></setting></Shop></applicationSettings>
</configuration>\n`

  it('changes one connection string, by its name', () => {
    expect(set('connectionStrings', text, 'Shop', `Server=new;Password='<"&`)).toBe(
      text.replace(`'Server=old;Password="a&amp;b"'`, `'Server=new;Password=&apos;&lt;"&amp;'`),
    )
    expect(set('connectionStrings', text, 'Log', 'a\tb\n"')).toBe(text.replace('"Server=old" name', '"a&#9;b&#10;&quot;" name'))
    expect(set('connectionStrings', text, 'Shop', 'Server=old;Password="a&b"')).toBe(text)
  })

  it('changes an app setting, an attribute and an element by the way to it', () => {
    expect(set('appSettings', text, 'Url', 'http://new')).toBe(text.replace('"http://old"', '"http://new"'))
    expect(set('xml', text, 'configuration/system.net/mailSettings/smtp/network/@host', 'new')).toBe(
      text.replace('host="old"', 'host="new"'),
    )
    const way = "/configuration/applicationSettings/Shop/setting[@name='B']/value"
    expect(set('xml', text, way, 'x & y')).toBe(text.replace('two &lt; 3', 'x &amp; y'))
    expect(failure(() => set('xml', text, way.replace("[@name='B']", ''), 'x'))).toMatchObject({
      code: 'config-setting-ambiguous',
    })
  })

  it('names the nearest when there is none of that name', () => {
    expect(failure(() => set('connectionStrings', text, 'shop', 'x'))).toMatchObject({
      code: 'config-setting-missing',
      message: 'has no setting shop.',
      hint: 'Did you mean "Shop"?',
    })
  })

  it('refuses what is encrypted or kept in another file, and says what to do', () => {
    const encrypted =
      '<configuration><connectionStrings configProtectionProvider="Rsa"><EncryptedData/></connectionStrings></configuration>'
    expect(failure(() => set('connectionStrings', encrypted, 'Shop', 'x'))).toMatchObject({
      code: 'config-is-encrypted',
      hint: expect.stringContaining('aspnet_regiis -pdf "connectionStrings"'),
    })
    const source = '<configuration>\n<connectionStrings configSource="cfg\\db.config"/></configuration>'
    expect(failure(() => set('connectionStrings', source, 'Shop', 'x'))).toMatchObject({
      code: 'config-is-elsewhere',
      message: expect.stringContaining('line 2'),
      hint: expect.stringContaining('{ file: cfg/db.config, connectionStrings: … }'),
    })
    expect(
      set('connectionStrings', '<connectionStrings><add name="Shop" connectionString="a"/></connectionStrings>', 'Shop', 'b'),
    ).toContain('"b"')
  })

  it.each(['<a>', '<a></b>', '<a b=c/>', '<a b="1" b="2"/>', 'x', '<a/><b/>', '<a>&</a', '<!-- <a/>', '<a b="<"/>'])(
    'leaves %s alone: no XML',
    (broken) => expect(failure(() => set('xml', broken, 'a/@b', 'x')).code).toBe('config-unreadable'),
  )

  it('writes characters as numbers where the declared encoding has none', () => {
    const latin = '<?xml version="1.0" encoding="iso-8859-1"?><appSettings><add key="a" value="x"/></appSettings>'
    expect(set('appSettings', latin, 'a', '€😀')).toContain('"&#8364;&#128512;"')
  })
})

describe('INI', () => {
  const text = `; memory_limit = 1M\r\nmemory_limit = 128M ; enough\r\ndisplay_errors = On
[database]\nhost = "old"\t; quoted\n# host = x\npassword = 'o;ld'\npath=C:\\site
[mail]\nhost = old\n`

  it('changes a value by its section, keeps comments, quotes and switches', () => {
    expect(set('ini', text, 'memory_limit', '256M')).toBe(text.replace('128M', '256M'))
    expect(set('ini', text, 'display_errors', 'Off')).toBe(text.replace('On', 'Off'))
    expect(set('ini', text, 'database.host', 'n;ew')).toBe(text.replace('"old"', '"n;ew"'))
    expect(set('ini', text, ['database', 'password'], 'a"b')).toBe(text.replace("'o;ld'", `'a"b'`))
    expect(set('ini', text, 'mail.host', 'new host')).toBe(text.replace('host = old\n', 'host = "new host"\n'))
    expect(set('ini', text, 'mail.host', 'off')).toBe(text.replace('host = old\n', 'host = "off"\n'))
    expect(set('ini', text, 'database.path', 'D:\\new')).toBe(text.replace('C:\\site', 'D:\\new'))
  })

  it('says what it has, and refuses what two readers would read in two ways', () => {
    expect(failure(() => set('ini', text, 'host', 'x'))).toMatchObject({ code: 'config-setting-missing' })
    expect(failure(() => set('ini', text, 'mail.host', 'a\nb')).code).toBe('config-value-impossible')
    expect(failure(() => set('ini', text, 'mail.host', `"'`)).code).toBe('config-value-impossible')
    expect(failure(() => set('ini', 'a = 1\na = 2\n', 'a', '3')).code).toBe('config-setting-ambiguous')
    expect(failure(() => set('ini', 'a = "1" x\n', 'a', '3')).code).toBe('config-not-a-value')
  })
})

describe('.properties', () => {
  const text = `# db.url=no\r\ndb.url = jdbc\\:mysql://old/shop\\\n    ?x=1\r\ndb.user:old\ndb.pass\nb\\u00fc=u\\u00fc\n`

  it('changes a value with all its lines, escapes what it must, and leaves the rest', () => {
    expect(set('properties', text, 'db.url', 'jdbc:mysql://old/shop?x=1')).toBe(text)
    expect(set('properties', text, 'db.url', 'jdbc:new')).toBe(text.replace('jdbc\\:mysql://old/shop\\\n    ?x=1', 'jdbc:new'))
    expect(set('properties', text, 'db.user', ' ü\\\t€')).toBe(text.replace(':old\n', ':\\ \\u00FC\\\\\\t\\u20AC\n'))
    expect(set('properties', text, ['db', 'pass'], 'x')).toBe(text.replace('db.pass\n', 'db.pass=x\n'))
    expect(set('properties', text, 'bü', 'uü')).toBe(text)
    expect(failure(() => set('properties', text, 'db.usr', 'x')).hint).toBe('Did you mean "db.user"?')
  })
})

describe('appsettings.json', () => {
  const text = `{\r\n  // the shop's
  "ConnectionStrings": { "Shop": "old", /* c */ },
  "Logging": { "LogLevel": { "Microsoft.AspNetCore": "Warning" } },
  "Smtp": { "Port": 25, "Ssl": false, "User": null }, "Hosts": ["a", "b",],
}\n`

  it('changes a value by its path, however that is written', () => {
    const changed = text.replace('"old"', '"n\\"ew\\n"')
    for (const path of ['ConnectionStrings:Shop', 'ConnectionStrings.Shop', ['ConnectionStrings', 'Shop']])
      expect(set('json', text, path, 'n"ew\n')).toBe(changed)
    expect(set('json', text, 'Logging.LogLevel.Microsoft.AspNetCore', 'Error')).toBe(text.replace('"Warning"', '"Error"'))
    expect(set('json', text, 'Hosts[1]', 'c')).toBe(text.replace('"b"', '"c"'))
    expect(set('json', text, 'Hosts:0', 'c')).toBe(text.replace('"a"', '"c"'))
  })

  it('keeps the kind that stands there', () => {
    expect(set('json', text, 'Smtp:Port', '587')).toBe(text.replace('25', '587'))
    expect(set('json', text, 'Smtp:Ssl', 'True')).toBe(text.replace('false', 'true'))
    expect(set('json', text, 'Smtp:User', 'me')).toBe(text.replace('null', '"me"'))
    expect(set('json', text, 'ConnectionStrings:Shop', 7)).toBe(text.replace('"old"', '"7"'))
    expect(failure(() => set('json', text, 'Smtp:Port', 'mail')).code).toBe('config-value-impossible')
    expect(failure(() => set('json', text, 'Smtp', 'mail'))).toMatchObject({
      code: 'config-not-a-value',
      message: 'line 5: the setting Smtp holds an object, not a single value.',
    })
  })

  it('refuses a name that stands there twice, and what is no JSON', () => {
    expect(failure(() => set('json', '{"a": 1,\n"a": 2}', 'a', 3))).toMatchObject({
      message: expect.stringContaining('lines 1, 2'),
    })
    expect(failure(() => set('json', '{"a": 1,\n"b" 2}', 'a', 3))).toMatchObject({ message: expect.stringContaining('line 2') })
    expect(failure(() => set('json', text, 'ConnectionString:Shop', 'x')).hint).toBe('Did you mean "ConnectionStrings.Shop"?')
  })
})

describe('.env', () => {
  const text = `# DB_HOST=not-this\nexport DB_HOST=old # the database\r\nNAME='My shop'\nEMPTY=\nURL="http://old"  # x\nKEY="-----BEGIN\nDB_HOST=inside\n-----END"\nLAST = x`

  it('changes a value and keeps its quotes, comments and export', () => {
    expect(set('env', text, 'DB_HOST', 'new')).toBe(text.replace('DB_HOST=old', 'DB_HOST=new'))
    expect(set('env', text, 'NAME', 'x')).toBe(text.replace("'My shop'", "'x'"))
    expect(set('env', text, 'URL', 'a b')).toBe(text.replace('"http://old"', '"a b"'))
    expect(set('env', text, 'EMPTY', 'a')).toBe(text.replace('EMPTY=', 'EMPTY=a'))
    expect(set('env', text, 'LAST', 1)).toBe(text.replace('LAST = x', 'LAST = 1'))
    expect(set('env', text, 'KEY', 'one')).toBe(text.replace(/"-----BEGIN[^"]*"/, '"one"'))
  })

  it('chooses quotes that every reader takes alike', () => {
    expect(set('env', 'A=x', 'A', 'p$w#d "1"')).toBe(`A='p$w#d "1"'`)
    expect(set('env', 'A="x"', 'A', 'p$w')).toBe("A='p$w'")
    expect(set('env', "A='x'", 'A', "it's")).toBe(`A="it's"`)
    expect(set('env', 'A=x', 'A', 'a\nb')).toBe('A="a\nb"')
    expect(set('env', 'A=x', 'A', '.\\SQLEXPRESS')).toBe("A='.\\SQLEXPRESS'")
    expect(failure(() => set('env', 'A=x', 'A', `it's $5`))).toMatchObject({ code: 'config-value-impossible' })
    expect(set('env', 'A=#nothing', 'A', 'x')).toBe('A=x #nothing')
  })

  it('refuses a name that stands there twice, and a quote that is never closed', () => {
    expect(failure(() => set('env', 'A=1\nB=2\nexport A=3', 'A', 'x')).message).toContain('lines 1, 3')
    expect(failure(() => set('env', 'A="1\nB=2', 'A', 'x')).code).toBe('config-not-a-value')
  })
})

describe('PHP', () => {
  const text = `<h1>define('DB_HOST', 'html')</h1>\n<?php
// define('DB_HOST', 'comment'); ?><?php /* $table_prefix = 'c'; */ # const A = 1;
define( 'DB_HOST', 'old' ); define("DB_PASSWORD", "o\\"ld\\$x");
if ( ! defined('WP_HOME') ) \\define('WP_HOME', getenv_docker('HOME', 'x'));
define('WP_DEBUG', false); define('PORT', -3306, true);
$s = "define('DB_HOST', 'string')"; $this->define('DB_HOST', 'method');
$heredoc = <<<EOT
define('DB_HOST', 'heredoc');
EOT;
$table_prefix  = 'wp_';
const LIMIT = 10, OTHER = 'o';
class JConfig { public $host = 'localhost'; protected ?string $user = null; function f($host = 'x') { $host == 'y'; } }
$databases['default']['default'] = array('host' => 'old', 'port' => 3306, 'opt' => [ PDO::X => 1 ], );
return [ 'db' => [ 'connection' => ['default' => ['host' => "old"]], 'x' ], 'a.b' => 'c' ];
`

  it('changes constants, variables and members of arrays', () => {
    expect(set('php', text, 'DB_HOST', "n'e\\w")).toBe(text.replace("'DB_HOST', 'old'", "'DB_HOST', 'n\\'e\\\\w'"))
    expect(set('php', text, 'DB_PASSWORD', '"$1\\')).toBe(text.replace('"o\\"ld\\$x"', '"\\"\\$1\\\\"'))
    expect(set('php', text, 'DB_PASSWORD', 'o"ld$x')).toBe(text)
    expect(set('php', text, '$table_prefix', 'shop_')).toBe(text.replace("= 'wp_'", "= 'shop_'"))
    expect(set('php', text, '$host', 'new')).toBe(text.replace("'localhost'", "'new'"))
    expect(set('php', text, '$user', 'me')).toBe(text.replace('= null', "= 'me'"))
    expect(set('php', text, 'LIMIT', 20)).toBe(text.replace('LIMIT = 10', 'LIMIT = 20'))
    expect(set('php', text, 'OTHER', 'p')).toBe(text.replace("'o'", "'p'"))
    expect(set('php', text, 'WP_DEBUG', 'true')).toBe(text.replace('false', 'true'))
    expect(set('php', text, 'PORT', 3307)).toBe(text.replace('-3306', '3307'))
    expect(set('php', text, '$databases.default.default.host', 'new')).toBe(text.replace("'host' => 'old'", "'host' => 'new'"))
    expect(set('php', text, ['db', 'connection', 'default', 'host'], 'new')).toBe(text.replace('=> "old"', '=> "new"'))
    expect(set('php', text, 'db.0', 'y')).toBe(text.replace("'x' ]", "'y' ]"))
    expect(set('php', text, 'a.b', 'd')).toBe(text.replace("=> 'c'", "=> 'd'"))
  })

  it('refuses a value that is computed, unless told otherwise', () => {
    expect(failure(() => set('php', text, 'WP_HOME', 'x'))).toMatchObject({
      code: 'config-is-expression',
      message: 'line 5: the setting WP_HOME is computed when the page is asked for: getenv_docker(…).',
      hint: expect.stringContaining('overwriteExpressions: true'),
    })
    expect(set('php', text, 'WP_HOME', 'x', true)).toBe(text.replace("getenv_docker('HOME', 'x')", "'x'"))
    expect(failure(() => set('php', '<?php $a = "x $b";', '$a', 'x')).code).toBe('config-is-expression')
    expect(failure(() => set('php', "<?php $a = 'x' . $b;", '$a', 'x')).code).toBe('config-is-expression')
    expect(failure(() => set('php', text, 'db', 'x')).code).toBe('config-not-a-value')
  })

  it('refuses a constant that is given twice, and a file without code', () => {
    expect(failure(() => set('php', "<?php if (X) define('A', 'x');\nelse define('A', 'y');", 'A', 'z')).message).toContain(
      'lines 1, 2',
    )
    expect(failure(() => set('php', "define('A', 'x');", 'A', 'z')).code).toBe('config-unreadable')
    expect(failure(() => set('php', "<?php define('A', 'x);", 'A', 'z')).code).toBe('config-unreadable')
    expect(failure(() => set('php', text, 'DB_HOTS', 'z')).hint).toBe('Did you mean "DB_HOST"?')
  })
})

describe('YAML', () => {
  const text = `# shop\r\nparameters: # all\n  database_host:   old   # here\n  database_port: 3306\n  on: 'yes'\n  "q.q": "x"\n  empty:\n  base: &b { host: old, list: [a, b] }\n  copy: *b\n  merged:\n    <<: *b\n  text: |\n    one\n    two\n\n  tagged: !secret abc\n  anchored: &a old\n`

  it('changes a value, in its style where that can be', () => {
    expect(set('yaml', text, 'parameters.database_host', 'new.example.com:3306')).toBe(
      text.replace('  old   #', '  new.example.com:3306   #'),
    )
    expect(set('yaml', text, 'parameters.database_host', '%env(X)% # no')).toBe(
      text.replace('  old   #', "  '%env(X)% # no'   #"),
    )
    expect(set('yaml', text, 'parameters.database_host', '587')).toBe(text.replace('  old   #', "  '587'   #"))
    expect(set('yaml', text, 'parameters.database_host', 'yes')).toBe(text.replace('  old   #', "  'yes'   #"))
    expect(set('yaml', text, 'parameters.database_port', '3307')).toBe(text.replace('3306', '3307'))
    expect(set('yaml', text, ['parameters', 'on'], "it's")).toBe(text.replace("'yes'", "'it''s'"))
    expect(set('yaml', text, ['parameters', 'q.q'], 'a"\n')).toBe(text.replace('"x"', '"a\\"\\n"'))
    expect(set('yaml', text, 'parameters.empty', 'x')).toBe(text.replace('empty:', 'empty: x'))
    expect(set('yaml', text, 'parameters.base.host', 'new')).toBe(text.replace('host: old', 'host: new'))
    expect(set('yaml', text, 'parameters.base.list[1]', 'c, d')).toBe(text.replace('[a, b]', "[a, 'c, d']"))
    expect(set('yaml', text, 'parameters.anchored', 'new')).toBe(text.replace('&a old', '&a new'))
    expect(set('yaml', text, 'parameters.text', 'x')).toBe(text.replace('|\n    one\n    two', "'x'"))
  })

  it('refuses an alias and a tag', () => {
    expect(failure(() => set('yaml', text, 'parameters.copy', 'x'))).toMatchObject({
      code: 'config-is-elsewhere',
      hint: expect.stringContaining('&b'),
    })
    expect(failure(() => set('yaml', text, 'parameters.tagged', 'x')).code).toBe('config-is-expression')
    expect(failure(() => set('yaml', text, 'parameters.merged.host', 'x')).code).toBe('config-setting-missing')
    expect(failure(() => set('yaml', 'a: [', 'a', 'x')).code).toBe('config-unreadable')
  })
})
