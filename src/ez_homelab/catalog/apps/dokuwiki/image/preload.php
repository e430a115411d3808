<?php
// Defaults come from the image, settings from the volume: an update brings new defaults and changes nothing people set.

$config_cascade = [];
if (file_exists(DOKU_INC . 'lib/plugins/farmer/DokuWikiFarmCore.php')) {
    $_ENV['DOKU_FARMDIR'] = '/storage/farm/';
    include DOKU_INC . 'lib/plugins/farmer/DokuWikiFarmCore.php';
}
if (!defined('DOKU_CONF')) {
    define('DOKU_CONF', DOKU_INC . 'conf/');
}
if (!$config_cascade) {
    include DOKU_INC . 'inc/config_cascade.php';
}

foreach (
    [
        'main' => 'dokuwiki.php',
        'acronyms' => 'acronyms.conf',
        'entities' => 'entities.conf',
        'interwiki' => 'interwiki.conf',
        'license' => 'license.php',
        'manifest' => 'manifest.json',
        'mediameta' => 'mediameta.php',
        'mime' => 'mime.conf',
        'scheme' => 'scheme.conf',
        'smileys' => 'smileys.conf',
        'wordblock' => 'wordblock.conf',
        'plugins' => 'plugins.php',
    ] as $image_part => $image_file
) {
    array_unshift($config_cascade[$image_part]['default'], '/etc/dokuwiki/' . $image_file);
}
$config_cascade['main']['default'][] = '/etc/dokuwiki/image/defaults.php';
$config_cascade['main']['protected'][] = '/etc/dokuwiki/image/protected.php';
$config_cascade['plugins']['protected'][] = '/etc/dokuwiki/plugins.required.php';
$config_cascade['plugins']['protected'][] = '/etc/dokuwiki/image/plugins.php';
unset($image_part, $image_file);
