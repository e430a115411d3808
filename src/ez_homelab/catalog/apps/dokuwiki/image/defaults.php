<?php
// The administrator may change these. The title is upstream's; the other two follow from this image's web server.
$conf['title'] = 'DokuWiki';
$conf['userewrite'] = 1;
$conf['xsendfile'] = 2;
