<?php
// 200 and "ok" where the wiki can start with its settings and read its tables; 500 and the reason where it cannot.
define('MW_NO_SESSION', 1);
define('MW_ENTRY_POINT', 'health');
header('Content-Type: text/plain; charset=utf-8');
header('Cache-Control: no-store');
require __DIR__ . '/includes/WebStart.php';

try {
    $database = MediaWiki\MediaWikiServices::getInstance()->getDBLoadBalancer()->getConnection(DB_REPLICA);
    foreach (['page' => 'page_id', 'revision' => 'rev_id', 'text' => 'old_id', 'user' => 'user_id'] as $table => $key) {
        $database->newSelectQueryBuilder()->select($key)->from($table)->limit(1)->caller('health')->fetchField();
    }
    echo 'ok';
} catch (Throwable $problem) {
    http_response_code(500);
    // The exception's text names the server and the query.
    error_log(get_class($problem) . ': ' . $problem->getMessage());
    echo 'the database does not answer, or lacks a table';
}
