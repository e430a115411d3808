<?php
// Written by EZ-Homelab from its catalog. What is said here counts for the whole wiki.
if (!defined('MEDIAWIKI')) {
    exit;
}

$wgSitename = getenv('MEDIAWIKI_SITE_NAME') ?: 'Wiki';
$wgServer = 'https://mediawiki.lab.home.arpa';
$wgScriptPath = '';
$wgArticlePath = '/wiki/$1';
$wgLocaltimezone = 'Europe/Berlin';

$wgDBtype = 'mysql';
$wgDBserver = getenv('MEDIAWIKI_DB_HOST');
$wgDBname = getenv('MEDIAWIKI_DB_NAME');
$wgDBuser = getenv('MEDIAWIKI_DB_USER');
$wgDBpassword = trim((string) file_get_contents(getenv('MEDIAWIKI_DB_PASSWORD_FILE')));
$wgDBTableOptions = 'ENGINE=InnoDB, DEFAULT CHARSET=binary';
$wgSecretKey = trim((string) file_get_contents('/run/secrets/secret_key'));
$wgAuthenticationTokenVersion = '1';

// The program's memory goes with the container; who is signed in stays signed in.
$wgMainCacheType = CACHE_ACCEL;
$wgSessionCacheType = CACHE_DB;

// Traefik is the only one that reaches this port from outside, and says who asked and how.
$wgCdnServersNoPurge = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fd00::/8'];
$wgUsePrivateIPs = true;
$wgCookieSecure = true;

$wgEnableUploads = true;
$wgUseImageMagick = is_executable('/usr/bin/convert');
$wgImageMagickConvertCommand = '/usr/bin/convert';
$wgTmpDirectory = '/tmp';
$wgEnableEmail = false;
$wgPingback = false;

// People with an account write; the administrator makes the accounts.
$wgGroupPermissions['*']['edit'] = false;
$wgGroupPermissions['*']['createaccount'] = false;

wfLoadSkin('Vector');
wfLoadSkin('MonoBook');
$wgDefaultSkin = 'vector-2022';
wfLoadExtension('Cite');
wfLoadExtension('ParserFunctions');
wfLoadExtension('WikiEditor');
