import { MARKER } from './relay-ask.ts'

const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`

/** A file that redirects whoever asks for it, whatever the path; for sites whose pages all come through index.php. */
export const redirectPhp = (to: URL): string => `<?php
// Written by migrate: this shop has moved, and this file leads to it. What stood here comes back with a rollback.
$uri = isset($_SERVER['REQUEST_URI']) ? preg_replace('~^[a-z]+://[^/]*~i', '', $_SERVER['REQUEST_URI']) : '/';
if (strpos($uri, '/.well-known/acme-challenge/') === 0) {
    http_response_code(404);
    exit;
}
header('${MARKER}: redirect');
header('Cache-Control: no-store');
header('Location: ' . ${quoted(to.origin)} . '/' . ltrim($uri, '/'), true, 307);
`

/**
 * Passes every request on to the new host: method, headers, cookies, body and uploads; redirects aren't followed, the status is
 * passed on, both ways are streamed. The connection is led to the new host's address (CURLOPT_RESOLVE, libcurl 7.21.3), while name,
 * SNI and certificate stay the customers'. For PHP 5.6 and later with curl; holds no secret. A form with uploads, which PHP has
 * taken apart before the file runs, is put together again; one that is larger than the old host allows is refused with 413.
 */
export const proxyPhp = (target: URL, site: URL): string => {
  const port = target.port === '' ? (target.protocol === 'https:' ? '443' : '80') : target.port
  return PROXY.replace('%SCHEME%', quoted(target.protocol.replace(':', '')))
    .replace('%PORT%', port)
    .replace('%ADDRESS%', quoted(target.hostname.replace(/^\[|\]$/g, '')))
    .replace('%SITE%', quoted(site.host))
    .replaceAll('%MARKER%', MARKER)
}

const PROXY = String.raw`<?php
// Written by migrate: this shop has moved, and this file passes on what still comes here. A rollback removes it.
$scheme = %SCHEME%;
$port = %PORT%;
$address = %ADDRESS%;
$site = %SITE%;

@ini_set('zlib.output_compression', '0');
@ini_set('default_mimetype', '');
@ini_set('display_errors', '0');
@set_time_limit(0);
ignore_user_abort(true);
while (ob_get_level() > 0) {
    ob_end_clean();
}
header_remove();
header('%MARKER%: proxy');

function relay_fail($status, $message)
{
    http_response_code($status);
    header('Content-Type: text/plain; charset=utf-8');
    header('Retry-After: 10');
    echo $message, "\n";
    exit;
}

function relay_fields($fields, $prefix, &$into)
{
    foreach ($fields as $name => $value) {
        $full = $prefix === '' ? $name : $prefix . '[' . $name . ']';
        if (is_array($value)) {
            relay_fields($value, $full, $into);
        } else {
            $into[$full] = $value;
        }
    }
}

function relay_files($name, $type, $path, $error, $field, &$into)
{
    if (is_array($name)) {
        foreach ($name as $key => $one) {
            relay_files($one, $type[$key], $path[$key], $error[$key], $field . '[' . $key . ']', $into);
        }
    } elseif ($error === UPLOAD_ERR_OK) {
        $into[$field] = new CURLFile($path, $type, $name);
    } elseif ($error !== UPLOAD_ERR_NO_FILE) {
        relay_fail(413, 'This file is too large to be passed on.');
    }
}

if (isset($_SERVER['HTTP_X_MIGRATE_RELAY'])) {
    relay_fail(508, 'This request came back to the old host: the relay leads in a circle.');
}
if (!function_exists('curl_init')) {
    relay_fail(501, 'PHP on the old host has no curl, which the relay needs.');
}

$host = isset($_SERVER['HTTP_HOST']) ? strtolower($_SERVER['HTTP_HOST']) : '';
if (!preg_match('/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?$/', $host)) {
    $host = $site;
}
$name = preg_replace('/:[0-9]+$/', '', $host);
if (!filter_var($address, FILTER_VALIDATE_IP)) {
    $address = gethostbyname($address);
}
$uri = preg_replace('~^[a-z]+://[^/]*~i', '', $_SERVER['REQUEST_URI']);
$method = $_SERVER['REQUEST_METHOD'];

$secure = (!empty($_SERVER['HTTPS']) && $_SERVER['HTTPS'] !== 'off');
$proto = $secure ? 'https' : (isset($_SERVER['HTTP_X_FORWARDED_PROTO']) ? $_SERVER['HTTP_X_FORWARDED_PROTO'] : 'http');
$chain = isset($_SERVER['HTTP_X_FORWARDED_FOR']) ? $_SERVER['HTTP_X_FORWARDED_FOR'] . ', ' : '';
$headers = array(
    'Host: ' . $host,
    'X-Forwarded-For: ' . $chain . $_SERVER['REMOTE_ADDR'],
    'X-Forwarded-Proto: ' . $proto,
    'X-Forwarded-Host: ' . $host,
    '%MARKER%: proxy',
    'Expect:',
);
$skip = array('host', 'connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'proxy', 'proxy-authorization',
    'proxy-connection', 'content-length', 'content-type', 'expect', 'authorization', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host');
foreach ($_SERVER as $key => $value) {
    $header = strtolower(str_replace('_', '-', substr($key, 5)));
    if (strpos($key, 'HTTP_') === 0 && is_string($value) && !in_array($header, $skip, true)) {
        $headers[] = $header . ($value === '' ? ';' : ': ' . $value);
    }
}
foreach (array('HTTP_AUTHORIZATION', 'REDIRECT_HTTP_AUTHORIZATION', 'REDIRECT_REDIRECT_HTTP_AUTHORIZATION') as $key) {
    if (!empty($_SERVER[$key])) {
        $headers[] = 'Authorization: ' . $_SERVER[$key];
        break;
    }
}

$curl = curl_init($scheme . '://' . $name . ':' . $port . $uri);
$type = isset($_SERVER['CONTENT_TYPE']) ? $_SERVER['CONTENT_TYPE'] : '';
$length = isset($_SERVER['CONTENT_LENGTH']) ? (int) $_SERVER['CONTENT_LENGTH'] : 0;
$chunked = isset($_SERVER['HTTP_TRANSFER_ENCODING']);
if ($method === 'HEAD') {
    curl_setopt($curl, CURLOPT_NOBODY, true);
} elseif ($method === 'POST' && stripos($type, 'multipart/form-data') === 0) {
    $fields = array();
    relay_fields($_POST, '', $fields);
    foreach ($_FILES as $field => $file) {
        relay_files($file['name'], $file['type'], $file['tmp_name'], $file['error'], $field, $fields);
    }
    if ($length > 0 && count($_POST) === 0 && count($_FILES) === 0) {
        relay_fail(413, 'This form is too large to be passed on.');
    }
    curl_setopt($curl, CURLOPT_POSTFIELDS, $fields);
} elseif ($length > 0 || $chunked) {
    if ($type !== '') {
        $headers[] = 'Content-Type: ' . $type;
    }
    curl_setopt($curl, CURLOPT_UPLOAD, true);
    curl_setopt($curl, CURLOPT_INFILE, fopen('php://input', 'rb'));
    if ($length > 0) {
        curl_setopt($curl, CURLOPT_INFILESIZE, $length);
    }
    curl_setopt($curl, CURLOPT_CUSTOMREQUEST, $method);
} else {
    curl_setopt($curl, CURLOPT_CUSTOMREQUEST, $method);
    if ($method !== 'GET') {
        $headers[] = 'Content-Length: 0';
    }
}

curl_setopt($curl, CURLOPT_HTTPHEADER, $headers);
curl_setopt($curl, CURLOPT_RESOLVE, array($name . ':' . $port . ':' . $address));
curl_setopt($curl, CURLOPT_PROXY, '');
curl_setopt($curl, CURLOPT_FOLLOWLOCATION, false);
curl_setopt($curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
curl_setopt($curl, CURLOPT_CONNECTTIMEOUT, 10);
$begun = false;
curl_setopt($curl, CURLOPT_HEADERFUNCTION, function ($curl, $line) use (&$begun) {
    if (preg_match('~^HTTP/\S+\s+(\d{3})~', $line, $found)) {
        $begun = (int) $found[1] >= 200;
        if ($begun) {
            http_response_code((int) $found[1]);
        }
    } elseif ($begun && preg_match('~^([^:\s]+):~', $line, $found)) {
        $own = array('connection', 'keep-alive', 'transfer-encoding', 'trailer', 'upgrade', 'proxy-authenticate', '%MARKER%');
        if (!in_array(strtolower($found[1]), array_map('strtolower', $own), true)) {
            header(trim($line), false);
        }
    }
    return strlen($line);
});
curl_setopt($curl, CURLOPT_WRITEFUNCTION, function ($curl, $part) {
    echo $part;
    flush();
    return strlen($part);
});
if (curl_exec($curl) === false && !$begun) {
    relay_fail(502, 'The new host gave no answer: ' . curl_error($curl));
}
`
