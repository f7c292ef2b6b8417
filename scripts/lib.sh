# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Shared by the scripts beside it (sourced, not run): packages, bootstrap, configure, build,
# progress. All progress goes to standard error, so that a program's own output stays clean.

unset CDPATH # or cd prints where it went
tide_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tide_build=$tide_top/build
tide_logs=$tide_build/logs
tide_jobs=$(nproc 2>/dev/null || echo 2)
tide_heartbeat_s=15

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "$(basename "$0"): $*"
    exit 1
}

# An interrupted script takes what it started with it.
# shellcheck disable=SC2046
trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT
# shellcheck disable=SC2046
trap 'kill $(jobs -p) 2>/dev/null; exit 143' TERM

# show_progress PID LABEL LOG: until the process ends, tell what is done and how far its log is.
# What ends within half a second is not worth a word.
show_progress() {
    local pid=$1 label=$2 log=$3 waited=0 last
    while kill -0 "$pid" 2>/dev/null; do
        [ "$waited" -ne 3 ] || say "    $label"
        sleep 0.2
        waited=$((waited + 1))
        if [ $((waited % (tide_heartbeat_s * 5))) -eq 0 ]; then
            last=$(tail -n 1 "$log" | tr -d '\r' | tr '\t' ' ' | cut -c1-80)
            say "      $((waited / 5)) s: $last"
        fi
    done
}

# step LABEL COMMAND…: run it with its output in a log; on failure show the end of that.
step() {
    local label=$1 log started=$SECONDS pid status=0
    shift
    mkdir -p "$tide_logs"
    # A file's name has 255 bytes at most; labels may be longer than that.
    log=$tide_logs/$(printf '%s' "$label" | tr -cs 'a-zA-Z0-9_.-' '_' | cut -c1-100).log
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    show_progress "$pid" "$label" "$log"
    wait "$pid" || status=$?
    if [ "$status" -ne 0 ]; then
        say "    $label FAILED (exit code $status) after $((SECONDS - started)) s; the end of $log:"
        tail -n 40 "$log" | sed 's/^/    | /' >&2
    elif [ $((SECONDS - started)) -ge 5 ]; then
        say "      done in $((SECONDS - started)) s"
    fi
    return "$status"
}

# ---- Packages ------------------------------------------------------------------------------------

# packages_of GROUP…: the words of scripts/packages for these groups.
packages_of() {
    local group
    for group in "$@"; do
        sed -n "s/^$group: *//p" "$tide_top/scripts/packages"
    done | tr ' ' '\n' | sed '/^$/d'
}

# package_is_there PACKAGE[=PROOF]
package_is_there() {
    local name=${1%%=*} proof=
    [ "$name" = "$1" ] || proof=${1#*=}
    case $proof in
    '') ;;
    /*) [ ! -e "$proof" ] || return 0 ;;
    *) ! command -v "$proof" >/dev/null 2>&1 || return 0 ;;
    esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ]
}

# missing_packages GROUP…: names, one a line.
missing_packages() {
    local word
    for word in $(packages_of "$@"); do
        package_is_there "$word" || printf '%s\n' "${word%%=*}"
    done
}

# Servers that come with a package must not be started on somebody's machine because of our tests.
# Debian asks this file; where there is one already, its answer stands.
apt_install() {
    local policy=/usr/sbin/policy-rc.d ours=no status=0
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" || status=$?
    [ "$ours" = no ] || rm -f "$policy"
    return "$status"
}

# need_packages GROUP…: install what is missing, or say what to install and fail.
need_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        say "These packages are missing: ${missing[*]}"
        say "Install them (Debian 12: sudo apt-get install ${missing[*]}) and start again."
        return 1
    fi
    if [ -n "${TIDE_APT_UPDATE:-}" ] || ! ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1; then
        step "apt-get update" apt-get update || return 1
        unset TIDE_APT_UPDATE
    fi
    step "installing packages: ${missing[*]}" apt_install "${missing[@]}" && return 0
    step "apt-get update" apt-get update || return 1
    step "installing packages, second try: ${missing[*]}" apt_install "${missing[@]}"
}

# ---- Build ---------------------------------------------------------------------------------------

# In a subshell: the program that `run` starts stays where its user is.
bootstrap_if_needed() (
    cd "$tide_top" || return 1
    if [ ! -x configure ] || [ ! -f Makefile.in ] || [ ! -f build-aux/test-driver ]; then
        step "bootstrap" ./bootstrap || return 1
    fi
)

# make_step DIR LABEL ARGS…
make_step() {
    local dir=$1 label=$2
    shift 2
    step "$label" make -C "$dir" --no-print-directory -j"$tide_jobs" "$@"
}

# configure_in DIR ARGS…: configure there unless it was done with the same arguments, and with the
# same of what the tide command needs.
configure_in() {
    local dir=$1 wanted
    shift
    bootstrap_if_needed || return 1
    wanted="$tide_top/configure $* (lacking: $(missing_packages tool | tr '\n' ' '))"
    mkdir -p "$dir" || return 1
    if [ -f "$dir/Makefile" ] && [ "$(cat "$dir/.configured" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    rm -f "$dir/.configured"
    (cd "$dir" && step "configure ${dir#"$tide_top"/} $*" "$tide_top/configure" "$@") || return 1
    printf '%s\n' "$wanted" >"$dir/.configured"
}

# build_in DIR CONFIGURE-ARGS…: a configured, up-to-date build.
build_in() {
    local dir=$1
    configure_in "$@" || return 1
    make_step "$dir" "build ${dir#"$tide_top"/}" all
}

# ensure_build: the ordinary build in build/, made by one script at a time.
ensure_build() {
    local status=0
    if ! mkdir -p "$tide_build" 2>/dev/null || [ ! -w "$tide_build" ]; then
        if [ -r "$tide_build/.libs/libtidemalloc.so.0" ]; then
            return 0 # somebody else's build will do
        fi
        say "$tide_build cannot be written to by $(id -un): build as its owner, or in a copy"
        return 1
    fi
    exec 9>"$tide_build/.lock"
    if ! flock -n 9; then
        say "    waiting for another script that is building"
        flock 9
    fi
    build_in "$tide_build" || status=$?
    exec 9>&-
    return "$status"
}
