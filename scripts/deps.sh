#!/usr/bin/env bash
# Installs what is missing: `deps.sh build` for building and running, `deps.sh all` for tests and benchmarks too.
# Quick and without root when everything is there. Never leaves a service running that it installed.
set -euo pipefail

swift_wanted=6.3
building=(build-essential pkg-config git curl ca-certificates python3
    libssl-dev libpcre2-dev libc-ares-dev libyaml-dev libnghttp2-dev zlib1g-dev libpq-dev libsqlite3-dev)
testing=(nginx-light libnginx-mod-stream haproxy wrk nghttp2-client apache2-utils prometheus openssl python3-venv python3-yaml util-linux postgresql chromium)
# From PyPI, for tests, in an environment of their own: Tests/.venv.
python_testing=(h2==4.4.1 hpack==4.2.0 hyperframe==6.1.0 grpcio==1.85.1 websockets==17.4 aio-kong==3.7.2 schemathesis==4.32.5 playwright==1.65.2 axe-playwright-python==0.1.8 PyJWT==2.15.1 cryptography==50.0.2)
# Packages whose daemon would start by itself after the install.
daemons=(nginx haproxy prometheus postgresql)

say() { printf '%s\n' "$*"; }
stop() { printf 'deps: %s\n' "$*" >&2; exit 1; }

installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

missing_packages() {
    local name
    for name in "$@"; do
        # Any nginx package will do: a machine with nginx-full keeps it.
        if [ "$name" = nginx-light ] && command -v nginx >/dev/null; then continue; fi
        # So will one that has streams built in.
        if [ "$name" = libnginx-mod-stream ] && nginx -V 2>&1 | grep -Eq -- '--with-stream( |$)'; then continue; fi
        installed "$name" || printf '%s\n' "$name"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# While apt runs, /usr/sbin/policy-rc.d tells it not to start the services of the packages it unpacks.
install_packages() {
    command -v apt-get >/dev/null \
        || stop "no apt-get here; install with your package manager: $*"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null \
        || stop "run this as root, or install sudo, to get: $*"
    local policy=/usr/sbin/policy-rc.d ours=no status=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        ours=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq || status=$?
    if [ "$status" = 0 ]; then
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "$@" >/dev/null || status=$?
    fi
    [ "$ours" = no ] || as_root rm -f "$policy"
    [ "$status" = 0 ] || stop "apt-get could not install: $*"
    # On a machine with systemd the next boot would start them: they are here as programs only.
    if [ -d /run/systemd/system ]; then
        local name package
        for name in "${daemons[@]}"; do
            for package in "$@"; do
                case $package in
                    "$name"*) as_root systemctl disable --now "$name" >/dev/null 2>&1 || true ;;
                esac
            done
        done
    fi
}

# Says "6.3.1" for the swift at hand, nothing when there is none.
swift_version() {
    local swift
    swift=$(command -v swift || true)
    [ -n "$swift" ] || swift="$HOME/.local/share/swiftly/bin/swift"
    [ -x "$swift" ] || return 0
    "$swift" --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -n 1
}

swift_is_new_enough() {
    local have
    have=$(swift_version)
    [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$swift_wanted" "$have" | sort -V | head -n 1)" = "$swift_wanted" ]
}

swift_by_hand() {
    stop "Swift $swift_wanted or newer is needed and could not be fetched ($1).
      Install it from https://www.swift.org/install/linux/ (or with swiftly: swiftly install $swift_wanted),
      put its 'swift' on PATH, and run the same command again."
}

# The documented way to a toolchain: swiftly, itself checked against Swift's signing keys.
install_swift() {
    local work archive
    archive="swiftly-$(uname -m).tar.gz"
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # the directory of now is meant
    trap "rm -rf '$work'" EXIT
    say "deps: no Swift $swift_wanted here; fetching it with swiftly"
    mapfile -t needed < <(missing_packages gnupg2 curl ca-certificates)
    [ "${#needed[@]}" = 0 ] || install_packages "${needed[@]}"
    curl -fsS --connect-timeout 10 --retry 2 -o "$work/$archive" \
        "https://download.swift.org/swiftly/linux/$archive" || swift_by_hand "no way to download.swift.org"
    curl -fsS --connect-timeout 10 -o "$work/$archive.sig" \
        "https://download.swift.org/swiftly/linux/$archive.sig" || swift_by_hand "no signature to check swiftly by"
    curl -fsS --connect-timeout 10 https://www.swift.org/keys/all-keys.asc \
        | gpg --homedir "$work" --quiet --import 2>/dev/null || swift_by_hand "no signing keys"
    gpg --homedir "$work" --quiet --verify "$work/$archive.sig" "$work/$archive" 2>/dev/null \
        || swift_by_hand "swiftly's signature does not match"
    tar -xzf "$work/$archive" -C "$work"
    "$work/swiftly" init --assume-yes --skip-install --quiet-shell-followup >/dev/null || swift_by_hand "swiftly init failed"
    # shellcheck disable=SC1091 # written by the line above
    . "${SWIFTLY_HOME_DIR:-$HOME/.local/share/swiftly}/env.sh"
    swiftly install --assume-yes --use --post-install-file "$work/packages.sh" "$swift_wanted" \
        || swift_by_hand "swiftly install failed"
    if [ -s "$work/packages.sh" ]; then as_root bash "$work/packages.sh" >/dev/null; fi
    hash -r
    swift_is_new_enough || swift_by_hand "the toolchain does not answer"
    say "deps: Swift $(swift_version) is in place"
}

# Nothing happens when the environment holds just these versions for the Python at hand.
install_python_packages() {
    local home have wanted
    home="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/Tests/.venv"
    wanted="$(python3 --version) ${python_testing[*]}"
    have=$(cat "$home/installed" 2>/dev/null || true)
    [ "$have" != "$wanted" ] || return 0
    say "deps: installing ${python_testing[*]} into Tests/.venv"
    rm -rf "$home"
    python3 -m venv "$home" || stop "python3 -m venv does not work here; install python3-venv"
    "$home/bin/pip" --quiet --disable-pip-version-check install "${python_testing[@]}" \
        || stop "pip could not install: ${python_testing[*]}"
    printf '%s\n' "$wanted" >"$home/installed"
}

case "${1:-all}" in
    build) wanted=("${building[@]}") ;;
    all) wanted=("${building[@]}" "${testing[@]}") ;;
    *) stop "say 'build' or 'all', not '$1'" ;;
esac

mapfile -t needed < <(missing_packages "${wanted[@]}")
if [ "${#needed[@]}" -gt 0 ]; then
    say "deps: installing ${needed[*]}"
    install_packages "${needed[@]}"
fi
if [ "${1:-all}" = all ]; then install_python_packages; fi
swift_is_new_enough || install_swift
say "deps: all there (Swift $(swift_version))"
