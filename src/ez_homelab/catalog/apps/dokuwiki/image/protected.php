<?php
// Not to be changed: this is where the volume is.
$conf['savedir'] = '/storage/data';
