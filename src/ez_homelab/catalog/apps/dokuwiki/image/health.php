<?php
// 200 and "ok" where DokuWiki can start with its settings and its volume; 500 and the reason where it cannot.
// DokuWiki's fatal errors become exceptions under this constant instead of a page with status 200.
define('DOKU_UNITTEST', 1);
header('Content-Type: text/plain; charset=utf-8');
ob_start();
try {
    require DOKU_INC . 'inc/init.php';
    ob_end_clean();
    echo 'ok';
} catch (Throwable $problem) {
    ob_end_clean();
    http_response_code(500);
    echo trim(preg_replace('/\s+/', ' ', strip_tags($problem->getMessage())));
}
