#!/bin/sh
# Makes the accounts from the lab's password and from those that a person has added, then starts the broker.
set -eu
umask 077
password=$(cat /run/secrets/password)
printf 'homelab:%s\n' "$password" > /tmp/accounts
mosquitto_passwd -U /tmp/accounts
if [ -f /mosquitto/data/accounts ]; then
    cat /mosquitto/data/accounts >> /tmp/accounts
fi
# Where the clients of this container look for their options (XDG_CONFIG_HOME), so that no password stands in an argument.
for program in mosquitto_pub mosquitto_sub; do
    printf -- '-u homelab\n-P %s\n' "$password" > "/tmp/$program"
done
exec mosquitto -c /mosquitto/config/mosquitto.conf
