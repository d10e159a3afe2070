#!/usr/bin/env bash
# `make up` after the build: two small services and a gateway before them, until Ctrl-C ends all three.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

http=127.0.0.1:${HTTP_PORT:-8000}
https=127.0.0.1:${HTTPS_PORT:-8443}
status=127.0.0.1:${STATUS_PORT:-8007}
seaway=.build/release/seaway
state=$(mktemp -d)
pids=()

stop_all() {
    trap - EXIT INT TERM
    local pid
    for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$state"
}
trap stop_all EXIT
trap 'printf "\nstopping\n"; exit 0' INT TERM

python3 Examples/quickstart/service.py catalog 9101 &
pids+=($!)
python3 Examples/quickstart/service.py orders 9102 &
pids+=($!)
"$seaway" gateway run --config Examples/quickstart/kong.yml \
    --http "$http" --https "$https" --status "$status" --state-dir "$state" --access-log "$state/access.log" &
gateway=$!
pids+=("$gateway")

# Ready means that the configuration is in effect and both services answer through it.
ready() {
    curl -fsS -o /dev/null --max-time 1 "http://$status/status/ready" 2>/dev/null \
        && curl -fsS -o /dev/null --max-time 1 "http://127.0.0.1:9101/" 2>/dev/null \
        && curl -fsS -o /dev/null --max-time 1 "http://127.0.0.1:9102/" 2>/dev/null
}
for attempt in $(seq 100); do
    if ready; then break; fi
    for pid in "${pids[@]}"; do
        if ! kill -0 "$pid" 2>/dev/null; then
            printf 'make up: a program ended at its start; its message is above.\n' >&2
            printf 'Another gateway on this port? Try: HTTP_PORT=18000 HTTPS_PORT=18443 STATUS_PORT=18007 make up\n' >&2
            exit 1
        fi
    done
    if [ "$attempt" = 100 ]; then
        printf 'make up: no gateway on http://%s/status/ready after 10 s\n' "$status" >&2
        exit 1
    fi
    sleep 0.1
done

cat <<TEXT

  Seaway is up on Examples/quickstart/kong.yml

    gateway   http://$http        https://$https (self-signed)
    status    http://$status/status
    metrics   http://$status/metrics
    log       $state/access.log

  Try, in another terminal:

    curl -i http://$http/catalog                              # open to all, 30 a minute
    curl -i http://$http/orders/7                             # 401: who are you?
    curl -i http://$http/orders/7 -H 'apikey: ada-demo-key'   # 200: ada

  Ctrl-C stops all of it.

TEXT
wait "$gateway"
