#!/usr/bin/env bash
# Times VoxShield's S- and N-step against PyTorch's in turn (A B A B), with the same networks and batch.
#
#   benches/peer.sh PEER [SIZE ...]          sizes 32 64 96 unless given
#
# PEER is a PyTorch script, not part of this repository, that takes --size, --batch, --threads, --reps and --device and
# prints a JSON line as `examples/peer_step.rs` does. PyTorch and MONAI are installed into a virtual environment in $VENV.
#
# ROUNDS   alternations, 3 unless set
# THREADS  2 unless set
# BATCH    1 unless set
# REPS     timed repetitions in a process, 5 unless set
# FEATURES, DEVICE  cargo features and --device of our side, flex and cpu unless set
# PEER_OPTIONS      further options of the peer, e.g. '--device cuda --amp bf16 --compile'
# VENV     target/peer unless set
set -euo pipefail
peer="$(realpath "${1:?usage: benches/peer.sh PEER [SIZE ...]}")"
shift
sizes=("${@:-32 64 96}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
read -r -a sizes <<<"${sizes[*]}"
read -r -a peer_options <<<"${PEER_OPTIONS:-}"
venv="${VENV:-target/peer}"
if [[ ! -x "$venv/bin/python" ]]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet torch monai
fi
features="${FEATURES:-flex}"
cargo build --release --example peer_step --features "$features" >&2
ours="${CARGO_TARGET_DIR:-target}/release/examples/peer_step"
for size in "${sizes[@]}"; do
    common=(--size "$size" --batch "${BATCH:-1}" --threads "${THREADS:-2}" --reps "${REPS:-5}")
    for ((round = 0; round < ${ROUNDS:-3}; round++)); do
        "$ours" "${common[@]}" --device "${DEVICE:-cpu}"
        "$venv/bin/python" "$peer" "${common[@]}" "${peer_options[@]}"
    done
done
