#!/usr/bin/env bash
# What has to be on the machine: `setup.sh run` checks it, `setup.sh test` also installs the
# servers and the browser of the tests from Debian's packages. Quick when nothing is missing.
set -euo pipefail

fail() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

check_python() {
    command -v python3 >/dev/null || fail "python3 is missing: install Python 3.11 or newer"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python 3.11 or newer is needed, python3 is $(python3 -V | cut -d' ' -f2)"
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        fail "python3 cannot make virtual environments: install python3-venv"
}

check_node() {
    command -v node >/dev/null || fail "node is missing: install Node.js 20 or newer"
    local major
    major=$(node -p 'process.versions.node.split(".")[0]')
    [ "$major" -ge 20 ] || fail "Node.js 20 or newer is needed, node is $(node -v)"
    command -v npm >/dev/null || fail "npm is missing: install the npm that comes with Node.js"
}

missing_packages() {
    compgen -G '/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server' >/dev/null ||
        echo rabbitmq-server
    command -v chromium >/dev/null || echo chromium
    command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || echo nginx
    command -v prometheus >/dev/null || echo prometheus
    compgen -G "/usr/lib/*/faketime/libfaketime.so.1" >/dev/null || echo faketime
}

# Debian starts a server on every interface as soon as it is installed, unless this file forbids it.
forbid_start_by_apt() {
    local policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && return
    trap "rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    local install="apt-get install -y --no-install-recommends ${missing[*]}"
    command -v apt-get >/dev/null ||
        fail "the tests need ${missing[*]} (named as in Debian): install them and try again"
    [ "$(id -u)" -eq 0 ] || fail "the tests need more packages: run as root: $install"
    forbid_start_by_apt
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    $install -qq >/dev/null
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] || fail "still missing after '$install': ${missing[*]}"
}

case ${1:-} in
run)
    check_python
    check_node
    ;;
test)
    check_python
    check_node
    install_packages
    ;;
*) fail "usage: deploy/setup.sh run|test" ;;
esac
