#!/usr/bin/env bash
# Makes the Python environment that EZ-Homelab runs in (exactly what uv.lock names), then hands every argument over.
# Costs a few milliseconds when there is nothing to do. Can be interrupted, and run again, at any point.
# UV_PROJECT_ENVIRONMENT says where the environment lies (default: .venv beside this file).
set -euo pipefail

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
state=$here/.venv-bootstrap # uv itself, the lock, the stamp, the log of the last set-up
venv=${UV_PROJECT_ENVIRONMENT:-.venv}
[[ $venv == /* ]] || venv=$here/$venv
certificates=/etc/ssl/certs/ca-certificates.crt
again="$0${*:+ $*}"

say() { printf '%s\n' "$*" >&2; }

fail() { # exit status, what failed, one fix, the evidence if there is any
    say "error: $2"
    [[ -z ${4:-} ]] || say "$(cut -c 1-300 <<<"$4" | sed 's/^ */  /')"
    say "  fix: $3"
    exit "$1"
}

fail_from_log() { # what failed, the fix where the log names no better one
    local evidence fix=$2
    evidence=$(grep -iE 'error|failed|could not|unable|caused by|^E:' "$state/log" | tail -n 3) || evidence=$(tail -n 3 "$state/log")
    if grep -qiE 'certificate.?verif|invalid peer certificate|UnknownIssuer|self.signed certificate' "$state/log"; then
        fix="put your network's CA (*.crt) into /usr/local/share/ca-certificates, run update-ca-certificates, then: $again"
    elif grep -qiE 'dns error|resolve|resolution|unreachable|refused|timed out|newconnectionerror|failed to fetch' "$state/log"; then
        fix="see that this machine reaches the internet (the log: $state/log), then: $again"
    fi
    fail 1 "$1" "$fix" "$evidence"
}

# --- is there anything to do? -----------------------------------------------------------------------------------------
group=main
assume_yes=no
[[ ${1:-} != test ]] || group=dev
for argument in "$@"; do
    [[ $argument != -- ]] || break
    [[ $argument != -y && $argument != --yes ]] || assume_yes=yes
done

key() { # what the environment is made from: where this differs from the stamp, it is brought up to date
    local sums
    sums=$(cat -- "$here"/{uv.lock,pyproject.toml,requirements-bootstrap.txt} | sha256sum)
    printf '%s %s %s %s' "${sums%% *}" "$(readlink -f -- "$venv/bin/python")" "$venv" "$group"
}

read_stamp() { # line 1: the key; then everything that was installed
    stamp=()
    [[ ! -r $state/stamp ]] || mapfile -t stamp <"$state/stamp"
    [[ ${stamp[0]:-} != *" dev" ]] || group=dev # what the tests need is kept once it is there
}

broken() { # was it left half-made, or is something that was installed gone?
    local path
    [[ ! -e $state/half-made ]] || return 0
    for path in "${stamp[@]:1}"; do [[ -e $path ]] || return 0; done
    [[ -e $venv && ! -x $venv/bin/python ]]
}

hand_over_when_ready() {
    read_stamp
    ! broken && [[ -x $venv/bin/ez-homelab && ${stamp[0]:-} == "$(key)" ]] || return 0
    exec 9>&-
    exec "$venv/bin/ez-homelab" "$@"
}

# --- Python 3.11 or newer, and the certificate store ------------------------------------------------------------------
find_python() { # first the one the environment was made with: with another one uv would make it anew
    local candidate
    candidate=$("$venv/bin/python" -c 'import sys; print(sys._base_executable)' 2>/dev/null) || candidate=python3
    for candidate in "$candidate" python3 python3.{14,13,12,11}; do
        "$candidate" -c 'import ensurepip, ssl, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        command -v -- "$candidate"
        return
    done
    return 1
}

as_root() { # everything it says goes to the log; the lock is not handed to it
    local -a prefix=(sudo --)
    ((EUID != 0)) || prefix=()
    "${prefix[@]}" "$@" >>"$state/log" 2>&1 9>&-
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
        apt-get -y -q -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@"
}

install_python() {
    local packages="python3 python3-venv ca-certificates" sudo="" by_hand answer try
    # Ubuntu 22.04's own python3 is 3.10; its archive (universe) has 3.11 beside it.
    ! grep -qs '^VERSION_CODENAME=jammy' /etc/os-release || packages="python3.11 python3.11-venv ca-certificates"
    command -v apt-get >/dev/null || fail 1 "this needs Python 3.11 or newer with venv, and there is no apt-get to get it with" \
        "install both with the system's own package manager, then: $again"
    ((EUID == 0)) || sudo="sudo "
    by_hand="${sudo}apt-get update && ${sudo}apt-get install -y $packages"
    [[ -z $sudo ]] || command -v sudo >/dev/null || fail 1 "$packages have to be installed, and only root may do that" "as root: $by_hand"
    say "EZ-Homelab runs on Python 3.11 or newer. To be installed with apt-get: $packages"
    if [[ $assume_yes == no ]]; then
        [[ -t 0 && -t 2 ]] || fail 2 "nothing was installed, because there is no terminal to ask at" "add --yes, or first run: $by_hand"
        read -r -p "Install them? [Y/n] " answer
        [[ ${answer,,} =~ ^(y|yes|)$ ]] || fail 1 "nothing was installed" "$by_hand"
    fi
    for try in {1..30}; do # apt-get waits for dpkg's lock by itself, not for the one on its package lists
        say "Installing (about a minute; the log: $state/log) ..."
        as_root dpkg --configure -a || true # where an earlier run was cut off
        # shellcheck disable=SC2086 # package names, ours, meant to be split
        if apt update && apt install --no-install-recommends $packages; then return; fi
        tail -n 5 "$state/log" | grep -q 'Could not get lock' || break
        ((try < 30)) || break
        say "Another apt-get is at work; trying again in 10 s."
        sleep 10
    done
    fail_from_log "apt-get could not install $packages" "$by_hand"
}

# --- the environment --------------------------------------------------------------------------------------------------
install_uv() {
    local wanted
    wanted=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' "$here/requirements-bootstrap.txt")
    [[ $("$state/uv/bin/uv" --version 2>/dev/null) != "uv $wanted"* ]] || return 0
    {
        "$python" -m venv --clear "$state/uv" &&
            "$state/uv/bin/python" -m pip install --disable-pip-version-check --retries 2 --only-binary :all: \
                --require-hashes -r "$here/requirements-bootstrap.txt"
    } >>"$state/log" 2>&1 ||
        fail_from_log "uv $wanted could not be installed from PyPI" "read $state/log, then: $again"
}

make_environment() {
    local -a options=(--frozen --inexact --project "$here" --python "$python")
    local path
    [[ $group == dev ]] || options+=(--no-dev)
    ! broken || rm -rf -- "$venv" || fail 1 "$venv is broken and could not be removed" "sudo rm -rf $venv, then: $again"
    : >"$state/half-made"
    env -u VIRTUAL_ENV UV_PROJECT_ENVIRONMENT="$venv" UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 \
        "$state/uv/bin/uv" sync "${options[@]}" >>"$state/log" 2>&1 ||
        fail_from_log "the packages of uv.lock could not be installed" "read $state/log, then: $again"
    {
        key && echo
        for path in "$venv"/lib/python*/site-packages/*; do [[ $path == */__pycache__ ]] || printf '%s\n' "$path"; done
    } >"$state/stamp.new"
    mv -- "$state/stamp.new" "$state/stamp"
    rm -- "$state/half-made"
}

hand_over_when_ready "$@"

mkdir -p -- "$state" 2>/dev/null || true
[[ -w $state && (! -e $venv || -w $venv) && (! -e $state/lock || -w $state/lock) ]] ||
    fail 1 "the environment has to be set up in $here, where $(id -un) may not write" "sudo $again"
exec 9>>"$state/lock"
if ! flock --nonblock 9; then
    say "Another run is setting up the environment; waiting for it."
    flock --timeout 900 9 || fail 1 "the other run has not ended after 15 minutes" "end it, then: $again"
fi
hand_over_when_ready "$@"

say "Setting up the Python environment (under a minute, the first time only) ..."
rm -f -- "$state/log" && : >"$state/log"
python=$(find_python) && [[ -e $certificates || ! -e /etc/debian_version ]] || { install_python && python=$(find_python); } ||
    fail 1 "no Python 3.11 or newer with venv, even after installing it" "install one by hand, then: $again"
# A network that inspects HTTPS is trusted through the system's certificate store, by pip and uv alike.
[[ ! -e $certificates ]] || export PIP_CERT=${PIP_CERT:-$certificates} UV_SYSTEM_CERTS=1
[[ -n ${HOME:-} ]] || export UV_CACHE_DIR=$state/cache
install_uv
make_environment
hand_over_when_ready "$@"
fail 1 "the environment was set up and is still not whole" "rm -rf $venv $state, then: $again"
