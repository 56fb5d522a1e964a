<?php

// Talks: every path that is no file of public/ comes here.

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

if ($path === '/') {
    header('Content-Type: text/html; charset=utf-8');
    echo '<!doctype html><link rel="stylesheet" href="/style.css"><h1>hello from php</h1>';
} elseif (preg_match('#^/talks/([\w.]+)$#', $path, $found)) {
    header('Content-Type: application/json');
    echo json_encode(['talk' => $found[1]]);
} else {
    http_response_code(404);
    echo "no such page\n";
}
