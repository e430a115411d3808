<?php
// Runs before the web server and may run at any time: makes the tables at the first start, brings them up to date when
// the program's version has changed, and does nothing otherwise.

const HOME = '/var/www/html';
// While this table is there, the first start has not come to its end.
const UNFINISHED = 'homelab_first_start';
// The row of MediaWiki's own table `updatelog` that names the version to which the tables belong.
const VERSION_KEY = 'homelab-version';
// As long as the database may take for its own first start.
const WAIT_SECONDS = 180;
const TRIES_A_SECOND = 5;

function fail(string $reason): never
{
    fwrite(STDERR, "$reason\n");
    exit(1);
}

function connect(): mysqli
{
    mysqli_report(MYSQLI_REPORT_OFF);
    $password = trim((string) file_get_contents(getenv('MEDIAWIKI_DB_PASSWORD_FILE')));
    for ($try = 0; $try < WAIT_SECONDS * TRIES_A_SECOND; $try++) {
        $database = mysqli_init();
        $names = [getenv('MEDIAWIKI_DB_HOST'), getenv('MEDIAWIKI_DB_USER'), $password, getenv('MEDIAWIKI_DB_NAME')];
        if (@$database->real_connect(...$names)) {
            mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
            return $database;
        }
        usleep(intdiv(1_000_000, TRIES_A_SECOND));
    }
    fail('the database does not let the wiki in: ' . mysqli_connect_error());
}

function tables(mysqli $database): array
{
    return array_column($database->query('SHOW TABLES')->fetch_all(), 0);
}

function version_of_program(): string
{
    preg_match("/define\( 'MW_VERSION', '([^']+)'/", file_get_contents(HOME . '/includes/Defines.php'), $found);
    return $found[1] ?? fail('no version in ' . HOME . '/includes/Defines.php');
}

function version_of_tables(mysqli $database): string
{
    $row = $database->query("SELECT ul_value FROM updatelog WHERE ul_key = '" . VERSION_KEY . "'")->fetch_row();
    return $row[0] ?? '';
}

function run(array $command, array $environment = []): void
{
    $process = proc_open($command, [STDIN, STDOUT, STDERR], $pipes, HOME, $environment + getenv());
    $status = $process ? proc_close($process) : 127;
    if ($status !== 0) {
        fail(basename($command[1]) . " ended with status $status");
    }
}

function settle(mysqli $database, string $version): void
{
    $statement = $database->prepare('REPLACE INTO updatelog (ul_key, ul_value) VALUES (?, ?)');
    $key = VERSION_KEY;
    $statement->bind_param('ss', $key, $version);
    $statement->execute();
    $database->query('DROP TABLE IF EXISTS ' . UNFINISHED);
}

function install(mysqli $database): void
{
    $database->query('CREATE TABLE IF NOT EXISTS ' . UNFINISHED . ' (nothing TINYINT)');
    // What an interrupted first start has left is of no use: nobody has written anything yet.
    foreach (array_diff(tables($database), [UNFINISHED]) as $table) {
        $database->query("DROP TABLE `$table`");
    }
    $settings = '/tmp/first-start';
    is_dir($settings) || mkdir($settings, 0700);
    run(
        [
            PHP_BINARY, HOME . '/maintenance/install.php', '--confpath', $settings, '--scriptpath', '',
            '--dbtype', 'mysql', '--dbserver', getenv('MEDIAWIKI_DB_HOST'), '--dbname', getenv('MEDIAWIKI_DB_NAME'),
            '--dbuser', getenv('MEDIAWIKI_DB_USER'), '--dbpassfile', getenv('MEDIAWIKI_DB_PASSWORD_FILE'),
            '--passfile', '/run/secrets/admin_password', getenv('MEDIAWIKI_SITE_NAME') ?: 'Wiki', 'Admin',
        ],
        // The installer refuses to work where there are settings already.
        ['MW_CONFIG_FILE' => "$settings/LocalSettings.php"],
    );
    array_map('unlink', glob("$settings/*"));
}

$database = connect();
$there = tables($database);
$program = version_of_program();
if ($there === [] || in_array(UNFINISHED, $there, true)) {
    install($database);
    settle($database, $program);
    exit(0);
}
$version = in_array('updatelog', $there, true) ? version_of_tables($database) : '';
if ($version === $program) {
    exit(0);
}
if ($version !== '' && version_compare($version, $program, '>')) {
    fail("the tables belong to MediaWiki $version, which is newer than this one ($program): they cannot go back");
}
run([PHP_BINARY, HOME . '/maintenance/update.php', '--quick']);
settle($database, $program);
