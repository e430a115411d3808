<?php
// Gives the administrator the password on standard input (one line).
require_once '/var/www/html/maintenance/Maintenance.php';

use MediaWiki\MediaWikiServices;

class AdminPassword extends Maintenance
{
    public function execute()
    {
        $password = rtrim((string) fgets(STDIN), "\r\n");
        $user = MediaWikiServices::getInstance()->getUserFactory()->newFromName('Admin');
        $words = ['username' => 'Admin', 'password' => $password, 'retype' => $password];
        $status = $user->changeAuthenticationData($words);
        if (!$status->isGood()) {
            $this->fatalError('the password was not taken: ' . json_encode($status->getErrors()));
        }
    }
}

$maintClass = AdminPassword::class;
require_once RUN_MAINTENANCE_IF_MAIN;
