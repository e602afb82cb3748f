#!/usr/bin/env bash
# Builds the Dockerfile and tries the image, where there is neither a container engine nor a registry
# of images: buildah builds and runs in a chroot, a debootstrap'ed Debian 12 with this machine's
# Node.js stands in for the base images. As root: deploy/build_image.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-/var/tmp/gatecast-image}
bases=localhost/gatecast-base
image=localhost/gatecast

fail() {
    printf 'build_image: %s\n' "$1" >&2
    exit 1
}

step() {
    printf '%4d s  %s\n' "$SECONDS" "$1"
}

build() {
    buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

make_rootfs() {
    [ -e "$work/rootfs.made" ] && return
    rm -rf "$work/rootfs"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
        bookworm "$work/rootfs" >"$work/debootstrap.log"
    rm -rf "$work"/rootfs/var/cache/apt/archives/*.deb "$work"/rootfs/var/lib/apt/lists/*
    touch "$work/rootfs.made"
}

make_bases() {
    if build images --quiet "$bases:node" >/dev/null 2>&1; then return; fi
    local base
    base=$(build from scratch)
    build add --quiet "$base" "$work/rootfs" / >/dev/null
    build commit --quiet "$base" "$bases:python" >/dev/null
    build add --quiet "$base" "$(readlink -f "$(command -v node)")" /usr/local/bin/node >/dev/null
    build add --quiet "$base" "$(npm root --global)/npm" /usr/local/lib/node_modules/npm >/dev/null
    build run --isolation chroot "$base" -- \
        ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
    build commit --quiet --rm "$base" "$bases:node" >/dev/null
}

# How this machine reaches its registries is mounted while the build runs; it is not in the image.
make_mounts() {
    local from to
    mounts=()
    while read -r from to; do
        [ -s "$from" ] && mounts+=(--volume "$(readlink -f "$from"):$to:ro")
    done <<END
/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
/etc/pip.conf /etc/pip.conf
$(npm config get globalconfig) /usr/local/etc/npmrc
$HOME/.npmrc /root/.npmrc
END
}

build_image() {
    make_mounts
    build bud --isolation chroot --format docker "${mounts[@]}" --tag "$image" \
        --build-arg "NODE_BASE=$bases:node" --build-arg "BASE=$bases:python" . \
        >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; fail "see $work/build.log"; }
}

# Every command answers, the health check passes while `serve` runs, SIGTERM ends it with 0, nothing
# is written outside the places that a read-only root leaves writable, no tool of the build is there.
try_image() {
    local container health
    container=$(build from "$image")
    health=$(build inspect --type image "$image" | python3 -c \
        'import json, sys; print(json.dumps(json.load(sys.stdin)["Docker"]["config"]["Healthcheck"]["Test"]))')
    build run --isolation chroot --env "HEALTH=$health" "$container" -- \
        python3 - <deploy/try_image.py
    build rm "$container" >/dev/null
}

[ "$(id -u)" -eq 0 ] || fail "run it as root"
for program in buildah debootstrap node npm; do
    command -v "$program" >/dev/null || fail "$program is missing (apt-get install buildah debootstrap)"
done
mkdir -p "$work"
make_rootfs
step "the stand-in for the base images is there"
make_bases
step "it is imported"
build_image
step "the image is built"
try_image
step "the image works"
build images --format '{{.Name}} {{.Size}}' | grep "^$image "
