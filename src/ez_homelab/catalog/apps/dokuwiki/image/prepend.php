<?php
// A plugin in the volume finds the program from its own place, which is behind a link: tell every script where it is.
if (!defined('DOKU_INC')) {
    define('DOKU_INC', '/usr/share/dokuwiki/');
}
