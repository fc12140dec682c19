#!/usr/bin/env bash
# Builds the image with buildah (as root; no Docker, no daemon) and runs it: as which user, how large, whether the page
# answers and the health check passes. `make docker-test`, or, where registries are out of reach,
#   BASE=debian WHEELS=/opt/wheels WORK=/tmp/milr-image make docker-test
# BASE: an image to build from instead of the Dockerfile's; `debian` makes one of Debian's packages (needs debootstrap).
# WHEELS: a folder with a CPU wheel of torch. WORK: kept between calls.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=${WORK:-$(mktemp -d)}
port=${PORT:-7860}
own() { buildah --storage-driver vfs --root "$work/store" --runroot "$work/run" "$@"; }
# This machine's certificates and pip settings hold within the build as well; neither becomes part of the image.
options=(--volume /etc/ssl/certs:/etc/ssl/certs:ro)
if [ -e /etc/pip.conf ]; then options+=(--volume /etc/pip.conf:/etc/pip.conf:ro); fi

if [ "${BASE:-}" = debian ]; then
    if [ ! -e "$work/base/base.tar" ]; then
        mkdir -p "$work/base"
        debootstrap --variant=minbase --include=ca-certificates,python3 bookworm "$work/rootfs"
        chroot "$work/rootfs" apt-get install -y --no-install-recommends python3-pip
        # As in Python's own image: `python`, and a pip that may install.
        rm -f "$work"/rootfs/usr/lib/python3*/EXTERNALLY-MANAGED
        ln -s python3 "$work/rootfs/usr/bin/python"
        tar -C "$work/rootfs" -cf "$work/base/base.tar" .
    fi
    printf 'FROM scratch\nADD base.tar /\n' > "$work/base/Dockerfile"
    own bud --isolation chroot --tag base "$work/base"
    BASE=localhost/base
fi
if [ -n "${WHEELS:-}" ]; then
    mkdir -p "$work/index/torch"
    cp -u "$WHEELS"/torch-*.whl "$work/index/torch"
    (cd "$work/index/torch" && for file in *.whl; do echo "<a href=\"${file//+/%2B}\">$file</a>"; done > index.html)
    options+=(--volume "$work/index:/index:ro" --build-arg TORCH_INDEX=file:///index)
fi

own bud --isolation chroot --format docker ${BASE:+--from "$BASE"} "${options[@]}" --tag milr .
own images

container=$(own from milr)
inspect() { own inspect --type image --format "{{range .Docker.Config.$1}}{{println .}}{{end}}" milr | sed '/^$/d'; }
mapfile -t command < <(inspect Cmd)
mapfile -t health < <(inspect Healthcheck.Test | tail -n +2) # without the word CMD
inside() { own run --isolation chroot --env PORT="$port" "$container" -- "$@"; }

# shellcheck disable=SC2016 # expanded inside
inside sh -c 'test "$(id -u)" = 1000 && touch "$HF_HOME/written" && rm "$HF_HOME/written" && echo "user $(id -u)" in "$PWD": *'
inside sh -c 'for name in .git .env .venv runs tests; do test ! -e "$name" || exit 1; done'
if inside "${health[@]}" 2> /dev/null; then echo "The health check passes without a page."; exit 1; fi
inside "${command[@]}" &
app=$!
trap 'kill "$app" 2> /dev/null || true; own rm "$container" > /dev/null || true' EXIT
for _ in $(seq 120); do
    kill -0 "$app" || exit 1
    if inside "${health[@]}" 2> /dev/null; then echo "Healthy on port $port."; exit 0; fi
    sleep 5
done
echo "The page never became healthy."
exit 1
