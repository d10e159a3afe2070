#!/usr/bin/env bash
# Fuzzes the parsers with libFuzzer and AddressSanitizer: `Fuzz/run.sh all 60` or `Fuzz/run.sh http1-request 600`.
# A finding stops it with exit code 1 and leaves its input in Fuzz/findings/. `Fuzz/run.sh all replay` only runs the
# corpora, a few seconds, as CI does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

wanted=${1:-all}
seconds=${2:-60}
swiftc="$(dirname "$(command -v "${SWIFT:-swift}")")/swiftc"
[ -x "$swiftc" ] || swiftc=$(command -v swiftc)
build=.build/fuzz
mkdir -p "$build" Fuzz/findings

# Modules in the order of their arrows, compiled apart from the package: every edge is counted in them.
modules=(Bytes HTTP Snapshot Model Dialects)
targets=(http1-request http1-response chunks hpack http2 proxy-protocol client-hello control snapshot path template kong-yml
    expression snapshot-delta grpc-stream)

flags=(-O -use-ld=lld -swift-version 6 -package-name seaway -sanitize=fuzzer,address -parse-as-library -I "$build" -g
    -enable-experimental-feature Lifetimes -enable-upcoming-feature ExistentialAny
    -enable-upcoming-feature InternalImportsByDefault -enable-upcoming-feature MemberImportVisibility
    -enable-upcoming-feature NonisolatedNonsendingByDefault -strict-memory-safety -suppress-warnings)
for map in Sources/C*/module.modulemap; do flags+=(-Xcc "-fmodule-map-file=$map"); done
cat >"$build/CLinux.modulemap" <<MAP
module CLinux { header "$PWD/Sources/CLinux/include/CLinux.h" export * }
MAP
flags+=(-Xcc "-fmodule-map-file=$build/CLinux.modulemap" -Xcc -ISources/CLinux/include)
libraries=(-lpcre2-8 -lyaml -lssl -lcrypto)

"$(dirname "$swiftc")/clang" -O1 -g -fsanitize=address -ISources/CLinux/include -c Sources/CLinux/CLinux.c -o "$build/CLinux.o"
objects=("$build/CLinux.o")
for module in "${modules[@]}"; do
    mapfile -t sources < <(find "Sources/$module" -name '*.swift' | sort)
    object="$build/$module.o"
    if [ ! -e "$object" ] || [ -n "$(find "Sources" -name '*.swift' -newer "$object" -print -quit)" ]; then
        printf 'fuzz: compiling %s\n' "$module"
        "$swiftc" "${flags[@]}" -whole-module-optimization -module-name "$module" -emit-module \
            -emit-module-path "$build/$module.swiftmodule" -emit-object -o "$object" "${sources[@]}"
    fi
    objects+=("$object")
done

status=0
ran=0
for target in "${targets[@]}"; do
    [ "$wanted" = all ] || [ "$wanted" = "$target" ] || continue
    program="$build/$target"
    "$swiftc" "${flags[@]}" -module-name Fuzz -o "$program" "Fuzz/targets/$target.swift" Fuzz/targets/Pieces.swift \
        "${objects[@]}" "${libraries[@]}"
    corpus="Fuzz/corpus/$target"
    mkdir -p "$corpus" "$build/corpus/$target"
    dictionary=()
    [ ! -e "Fuzz/corpus/$target.dict" ] || dictionary=("-dict=Fuzz/corpus/$target.dict")
    ran=$((ran + 1))
    if [ "$seconds" = replay ]; then
        limit=(-runs=0)
    else
        limit=("-max_total_time=$seconds")
    fi
    printf 'fuzz: %s (%s)\n' "$target" "${limit[0]}"
    # New inputs go to the build folder; worthwhile ones are added to the tree with -merge=1.
    if ! SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0 "$program" "${limit[@]}" -max_len=65536 -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
        "${dictionary[@]}" -artifact_prefix="Fuzz/findings/$target-" "$build/corpus/$target" "$corpus" \
        >"$build/$target.log" 2>&1; then
        tail -n 40 "$build/$target.log"
        printf 'fuzz: %s found something; its input is in Fuzz/findings/\n' "$target"
        status=1
    else
        # The last line of progress: executions, coverage, corpus.
        grep -E '^#[0-9]+' "$build/$target.log" | tail -n 1 || true
    fi
done
[ "$ran" -gt 0 ] || { printf 'fuzz: no target %s; there are: %s\n' "$wanted" "${targets[*]}" >&2; exit 2; }
printf 'fuzz: %d targets, %s\n' "$ran" "$([ "$status" = 0 ] && echo 'no finding' || echo 'FINDINGS')"
exit "$status"
