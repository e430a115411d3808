#!/bin/bash
# Makes the database and its users at the first start, then starts the server. Takes upstream's variables MARIADB_DATABASE,
# MARIADB_USER, MARIADB_PASSWORD, MARIADB_ROOT_PASSWORD, MARIADB_ROOT_HOST (each also with _FILE),
# MARIADB_MYSQL_LOCALHOST_USER and MARIADB_MYSQL_LOCALHOST_GRANTS.
#
# A first start may be killed at any time. The files are made in a folder of their own and moved once they are whole;
# `mysql`, by which this script and upstream's know a database, is moved last.
set -euo pipefail
shopt -s nullglob dotglob

data=/var/lib/mysql
new=$data/.first-start
whole=$new/.whole

fail() {
    echo "$*" >&2
    exit 1
}

# The variable's value, or the content of the file that NAME_FILE names.
given() {
    local file_name=${1}_FILE
    if [[ -n ${!file_name:-} ]]; then
        [[ -r ${!file_name} ]] || fail "$file_name: ${!file_name} cannot be read by user $(id -u)"
        printf '%s' "$(<"${!file_name}")"
    else
        printf '%s' "${!1:-${2:-}}"
    fi
}

# A text within single quotes of SQL.
quoted() {
    local text=${1//\\/\\\\}
    printf "'%s'" "${text//\'/\\\'}"
}

# A name within backticks of SQL.
named() {
    printf '`%s`' "${1//\`/\`\`}"
}

accounts() {
    local root_password root_host database user password
    root_password=$(given MARIADB_ROOT_PASSWORD)
    root_host=$(given MARIADB_ROOT_HOST %)
    database=$(given MARIADB_DATABASE)
    user=$(given MARIADB_USER)
    password=$(given MARIADB_PASSWORD)
    [[ -n $root_password ]] || fail "no password for root: set MARIADB_ROOT_PASSWORD or MARIADB_ROOT_PASSWORD_FILE"
    # Made by mariadb-install-db without a password.
    echo "DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';"
    echo "DELETE FROM mysql.proxies_priv WHERE Host <> 'localhost';"
    echo "FLUSH PRIVILEGES;"
    echo "ALTER USER root@localhost IDENTIFIED BY $(quoted "$root_password");"
    if [[ $root_host != localhost ]]; then
        echo "CREATE USER root@$(quoted "$root_host") IDENTIFIED BY $(quoted "$root_password");"
        echo "GRANT ALL ON *.* TO root@$(quoted "$root_host") WITH GRANT OPTION;"
    fi
    if [[ -n ${MARIADB_MYSQL_LOCALHOST_USER:-} ]]; then
        echo "CREATE USER IF NOT EXISTS mysql@localhost IDENTIFIED VIA unix_socket;"
        echo "GRANT ${MARIADB_MYSQL_LOCALHOST_GRANTS:-USAGE} ON *.* TO mysql@localhost;"
    fi
    if [[ -n $database ]]; then
        echo "CREATE DATABASE $(named "$database");"
    fi
    if [[ -n $user && -n $password ]]; then
        echo "CREATE USER $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$password");"
        if [[ -n $database ]]; then
            # In a grant `_` stands for any character unless a backslash is before it.
            echo "GRANT ALL ON $(named "${database//_/\\_}").* TO $(quoted "$user")@'%';"
        fi
    fi
}

make() {
    local there=("$data"/*)
    for path in "${there[@]}"; do
        case ${path##*/} in
        .first-start | lost+found) ;;
        *) fail "$data holds ${path##*/}, but no database: restore it whole, or empty the volume" ;;
        esac
    done
    rm -rf "$new"
    mkdir -m 0700 "$new"
    echo "first start: making the database"
    mariadb-install-db --datadir="$new" --auth-root-authentication-method=normal --skip-test-db >/dev/null
    # Whoever may not read the passwords makes no half of the users.
    local statements
    statements=$(accounts)
    mariadbd --no-defaults --bootstrap --datadir="$new" --lc-messages-dir=/usr/share/mysql <<<"$statements"
    sync
    touch "$whole"
    sync
}

if ! [[ -w $data ]]; then
    fail "$data is not writable by user $(id -u): chown the folder that is mounted there to $(id -u):$(id -g)"
fi
if ! [[ -d $data/mysql ]]; then
    [[ -e $whole ]] || make
    for path in "$new"/*; do
        [[ $path == "$whole" || $path == "$new/mysql" ]] || mv "$path" "$data/"
    done
    sync
    mv "$new/mysql" "$data/mysql"
    sync
fi
rm -rf "$new"

if [[ ${1:-} == -* ]]; then
    set -- mariadbd "$@"
fi
exec "$@"
