<?php
// The image is what gets updated, never the program inside it.
$plugins['upgrade'] = 0;
