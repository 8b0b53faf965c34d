<?php
// The same small site for php-fpm. SITE_MODE: ok, kill (the worker dies by a signal, as it would of a segfault), or hang (no
// answer for a minute).
if (getenv('SITE_MODE') === 'kill') {
    posix_kill(getmypid(), 9);
}
if (getenv('SITE_MODE') === 'hang') {
    sleep(60);
}
$known = in_array(strtok($_SERVER['REQUEST_URI'], '?'), ['/', '/cart', '/index.php'], true);
http_response_code($known ? 200 : 404);
echo $known ? "<h1>shop</h1>\n" : "no such page\n";
