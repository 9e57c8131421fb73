#!/usr/bin/env bash
# Parity and speed on a GPU, in two parts, because a GPU machine may have no toolchain and no network.
#
#   benches/gpu.sh build [BUNDLE]            here: builds, strips and compresses; BUNDLE is target/gpu.tar.xz
#   benches/gpu.sh run BUNDLE PEER [OUT]     there, in a checkout: parity tests, then steps beside PyTorch's
#
# PEER is a PyTorch script, not part of this repository, that takes --size, --batch, --reps, --device, --amp, --tf32,
# --channels-last and --compile and prints a JSON line as `examples/peer_step.rs` does; `none` leaves it out. The log of
# the tests and the JSON lines go to the folder OUT (gpu-results): tests.log, steps.jsonl. The script ends with 1 if a
# test failed.
#
# build:
#   FEATURES   devices to build for, 'cuda vulkan' unless set; 'fusion' adds kernel fusion
#   PROFILE    cargo profile of peer_step, release unless set
# run:
#   DEVICES    'cuda vulkan' unless set
#   SIZES BATCHES ROUNDS REPS   '96 160', '1 8', 3 alternations, 5 repetitions unless set
#   PRECISIONS 'f32 bf16' unless set; what a device does not support is reported and left out
#   PEER_DEVICE  --device of the peer, cuda unless set
#   PYTHON     python3 unless set, with torch and monai
#   LIMIT      seconds that one process may take, 300 unless set
#
# A dry run on Mesa's software Vulkan, with a PyTorch for the CPU or none (wgpu: Mesa 22.3 crashes on vulkan's shaders):
#   FEATURES=wgpu PROFILE=dev benches/gpu.sh build
#   DEVICES=wgpu SIZES=16 BATCHES=1 ROUNDS=1 REPS=1 benches/gpu.sh run target/gpu.tar.xz none
set -euo pipefail
usage() {
    sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# The executables among cargo's messages: folder of the package, name, path.
executables() {
    python3 -c '
import json, os, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable"):
        package = os.path.basename(os.path.dirname(message["manifest_path"]))
        print(package, message["target"]["name"], message["executable"])'
}

build() {
    local bundle="${1:-target/gpu.tar.xz}" features="flex" kit="" feature crate name path
    for feature in ${FEATURES:-cuda vulkan}; do
        features+=",$feature"
        kit+="${kit:+,}voxshield-testkit/$feature"
    done
    local stage
    stage="$(mktemp -d)"
    trap "rm -rf '$stage'" EXIT
    cargo build --profile "${PROFILE:-release}" --example peer_step --features "$features" \
        --message-format=json-render-diagnostics | executables | while read -r _ name path; do
        strip -o "$stage/$name" "$path"
    done
    # One call, so that cargo builds Burn once for all three.
    cargo test -p voxshield-kernels -p voxshield-models -p voxshield-perturb --tests --no-run \
        --features "$kit" --message-format=json-render-diagnostics |
        executables | while read -r crate name path; do
        # What reads files of the checkout that built it has nothing to say about a device.
        [[ "$name" == checkpoints ]] || strip -o "$stage/test-${crate#voxshield-}-$name" "$path"
    done
    mkdir -p "$(dirname "$bundle")"
    # The test binaries share most of their code: a dictionary larger than two of them finds it.
    tar -C "$stage" -c . | xz -T1 --lzma2=preset=6,dict=192MiB >"$bundle"
    ls -l "$stage" "$bundle" >&2
}

run() {
    local bundle="$1" peer="$2" out="${3:-gpu-results}" stage device test failed=0
    [[ "$peer" == none ]] || peer="$(realpath "$peer")"
    mkdir -p "$out"
    : >"$out/tests.log"
    : >"$out/steps.jsonl"
    stage="$(mktemp -d)"
    trap "rm -rf '$stage'" EXIT
    tar -C "$stage" -xJf "$bundle"
    VOXSHIELD_GOLDEN="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/tests/golden"
    export VOXSHIELD_GOLDEN
    for device in ${DEVICES:-cuda vulkan}; do
        for test in "$stage"/test-*; do
            echo "== $device $(basename "$test")" | tee -a "$out/tests.log"
            if ! VOXSHIELD_TEST_DEVICE="$device" timeout "${LIMIT:-300}" "$test" --test-threads 4 --nocapture \
                >>"$out/tests.log" 2>&1; then
                echo "FAILED: $device $(basename "$test")" | tee -a "$out/tests.log"
                failed=1
            fi
        done
        steps "$stage/peer_step" "$device" "$peer" | tee -a "$out/steps.jsonl"
    done
    return "$failed"
}

# The last line that a process prints, or one that says that it failed and with which last words.
line() {
    local what="$1" answer errors
    shift
    errors="$(mktemp)"
    if answer="$(timeout "${LIMIT:-300}" "$@" 2>"$errors")"; then
        tail -n 1 <<<"$answer"
    else
        python3 -c 'import json, sys; print(json.dumps({"failed": sys.argv[1], "last_words": sys.stdin.read()[-400:]}))' \
            "$what" <"$errors"
    fi
    rm -f "$errors"
}

# Ours and the peer's variants in turn; each line names its configuration.
steps() {
    local ours="$1" device="$2" peer="$3" size batch round precision variant
    local python="${PYTHON:-python3}" variants=('' '--tf32' '--tf32 --compile' '--amp bf16'
        '--amp bf16 --channels-last' '--amp bf16 --compile' '--amp bf16 --channels-last --compile')
    for size in ${SIZES:-96 160}; do
        for batch in ${BATCHES:-1 8}; do
            for ((round = 0; round < ${ROUNDS:-3}; round++)); do
                local common=(--size "$size" --batch "$batch" --reps "${REPS:-5}")
                for precision in ${PRECISIONS:-f32 bf16}; do
                    line "$device $size $batch $precision" \
                        "$ours" "${common[@]}" --device "$device" --precision "$precision"
                done
                [[ "$peer" == none ]] && continue
                for variant in "${variants[@]}"; do
                    # shellcheck disable=SC2086  # a variant is a list of words
                    line "peer $size $batch $variant" "$python" "$peer" "${common[@]}" \
                        --device "${PEER_DEVICE:-cuda}" $variant
                done
            done
        done
    done
}

case "${1:-}" in
build) shift; cd "$(dirname "${BASH_SOURCE[0]}")/.."; build "$@" ;;
run) [[ $# -ge 3 ]] || usage; shift; run "$@" ;;
*) usage ;;
esac
