"""What answers first where `php -S` serves: a script that says whose a request is.

Without one, PHP's server answers 404 for whatever has a dot in its last part and is no file, and
hands out every file beneath its folder, `.env` too.
"""

from typing import Final

FILE: Final = ".edged/router.php"

TEXT: Final = r"""<?php
// A file that visitors may see is served, or run, as it is. All else is index.php's.

switch ((static function (): string {
    $root = $_SERVER['DOCUMENT_ROOT'];
    $path = rawurldecode(explode('?', $_SERVER['REQUEST_URI'], 2)[0]);
    if (preg_match('#/\.(?!well-known/)#', $path)) {
        return 'hidden';
    }
    // The whole release is served: what only its owner needs is not.
    $private = '#^/+(?:vendor(?:/|$)|(?:composer\.(?:json|lock)|edge\.toml|Procfile)$)#i';
    if (is_file("$root/edge.toml") && preg_match($private, $path)) {
        return 'hidden';
    }
    $found = $root . $path;
    $is_served = is_file($found) || is_file("$found/index.php") || is_file("$found/index.html");
    return $is_served ? 'file' : 'index';
})()) {
    case 'hidden':
        http_response_code(404);
        return true;
    case 'file':
        return false;
}

chdir($_SERVER['DOCUMENT_ROOT']);
$_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = '/index.php';
$_SERVER['SCRIPT_FILENAME'] = $_SERVER['DOCUMENT_ROOT'] . '/index.php';
unset($_SERVER['PATH_INFO']);
require $_SERVER['SCRIPT_FILENAME'];
"""
