#!/usr/bin/env bash
# `make up` after the build: two small services, and `seaway up` before them, until Ctrl-C ends all three.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

http=127.0.0.1:${HTTP_PORT:-8000}
https=127.0.0.1:${HTTPS_PORT:-8443}
status=127.0.0.1:${STATUS_PORT:-8007}
admin=127.0.0.1:${ADMIN_PORT:-8001}
api=127.0.0.1:${API_PORT:-5681}
stream=127.0.0.1:${STREAM_PORT:-5678}
data=${DATA:-data}
seaway=.build/release/seaway
pids=()

stop_all() {
    trap - EXIT INT TERM
    local pid
    for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
}
trap stop_all EXIT
trap 'printf "\nstopping\n"; exit 0' INT TERM

python3 Examples/quickstart/service.py catalog 9101 &
pids+=($!)
python3 Examples/quickstart/service.py orders 9102 &
pids+=($!)
"$seaway" up --data "$data" --http "$http" --https "$https" --status "$status" \
    --admin "$admin" --api "$api" --stream "$stream" &
control=$!
pids+=("$control")

# Ready means that the API answers, the gateway has joined, and both services are there.
ready() {
    "$seaway" status --api "http://$api" --token-file "$data/admin-token" 2>/dev/null | grep -q connected \
        && curl -fsS -o /dev/null --max-time 1 "http://127.0.0.1:9101/" 2>/dev/null \
        && curl -fsS -o /dev/null --max-time 1 "http://127.0.0.1:9102/" 2>/dev/null
}
for attempt in $(seq 100); do
    if ready; then break; fi
    for pid in "${pids[@]}"; do
        if ! kill -0 "$pid" 2>/dev/null; then
            printf 'make up: a program ended at its start; its message is above.\n' >&2
            printf 'Another one on these ports? HTTP_PORT, HTTPS_PORT, STATUS_PORT, ADMIN_PORT, API_PORT and\n' >&2
            printf 'STREAM_PORT choose others: HTTP_PORT=18000 make up\n' >&2
            exit 1
        fi
    done
    if [ "$attempt" = 100 ]; then
        printf 'make up: no gateway has joined the control plane at http://%s after 20 s\n' "$api" >&2
        exit 1
    fi
    sleep 0.2
done

flags=
[ "$api" = 127.0.0.1:5681 ] || flags=" --api http://$api"
[ "$data" = data ] || flags="$flags --token-file $data/admin-token"
cat <<TEXT

  Seaway is up; nothing is configured yet. In another terminal:

    $seaway apply -f Examples/quickstart/kong.yml$flags

    curl -i http://$http/catalog                              # open to all, 30 a minute
    curl -i http://$http/orders/7                             # 401: who are you?
    curl -i http://$http/orders/7 -H 'apikey: ada-demo-key'   # 200: ada

    web UI      http://$api/ui     log in with: cat $data/admin-token
    Admin API   http://$admin      Kong's, with the same token
    metrics     http://$status/metrics
    all well?   $seaway check$flags

  Ctrl-C stops all of it. What you applied is kept in $data.

TEXT
wait "$control"
