#!/usr/bin/env bash
# Times reading and writing of .nii.gz against nibabel's in turn (A B A B).
#
#   benches/nibabel.sh [FILE.nii.gz ...]     a synthetic 256^3 int16 volume unless given
#
# Both sides read the voxels as stored, write them again under another name, and flush the file to the disk: left
# unflushed, one side's pages would be written in the other side's time. nibabel runs at its own default level of zlib (1) and at the level of our writer (3). nibabel is
# installed into a virtual environment in $VENV.
#
# ROUNDS   alternations, 3 unless set
# THREADS  2 unless set
# REPS     repetitions in a process, 5 unless set
# VENV     target/peer unless set
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv="${VENV:-target/peer}"
if [[ ! -x "$venv/bin/python" ]]; then
    python3 -m venv "$venv"
fi
"$venv/bin/python" -c 'import nibabel' 2>/dev/null || "$venv/bin/pip" install --quiet nibabel
cargo build --release --example nifti_round_trip ${FEATURES:+--features "$FEATURES"} >&2
ours="${CARGO_TARGET_DIR:-target}/release/examples/nifti_round_trip"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

cat >"$folder/synthetic.py" <<'PYTHON'
"""A ball of smooth tissue and noise in air, as a CT has it."""
import sys
import nibabel
import numpy as np

n = 256
rng = np.random.default_rng(0)
z, y, x = np.meshgrid(*[np.linspace(-1, 1, n)] * 3, indexing="ij")
radius = np.sqrt(x * x + y * y + z * z)
values = np.where(radius < 0.8, 40 + 30 * np.sin(7 * x) * np.cos(5 * y + z), -1000)
values += rng.normal(0, 12, (n, n, n)) * (radius < 0.95)
nibabel.save(nibabel.Nifti1Image(values.clip(-1024, 3000).astype(np.int16), np.eye(4)), sys.argv[1])
PYTHON

cat >"$folder/peer.py" <<'PYTHON'
import json
import os
import statistics
import sys
import time
import nibabel
import numpy as np

source, target, level, reps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
nibabel.openers.Opener.default_compresslevel = level
read, write, both = [], [], []
for _ in range(reps):
    start = time.perf_counter()
    image = nibabel.load(source)
    voxels = np.asanyarray(image.dataobj.get_unscaled())
    after = time.perf_counter()
    nibabel.save(type(image)(voxels, image.affine, image.header), target)
    with open(target) as file:
        os.fsync(file.fileno())
    end = time.perf_counter()
    read.append(after - start)
    write.append(end - after)
    both.append(end - start)
print(json.dumps({
    "program": f"nibabel {nibabel.__version__}", "file": source, "level": level, "reps": reps,
    "read_s": statistics.median(read), "write_s": statistics.median(write),
    "round_trip_s": statistics.median(both), "bytes": os.path.getsize(target),
}))
PYTHON

files=("$@")
if [[ ${#files[@]} -eq 0 ]]; then
    files=("$folder/synthetic_256.nii.gz")
    "$venv/bin/python" "$folder/synthetic.py" "${files[0]}"
fi
reps="${REPS:-5}"
for file in "${files[@]}"; do
    for ((round = 0; round < ${ROUNDS:-3}; round++)); do
        "$ours" "$file" "$folder/ours.nii.gz" --threads "${THREADS:-2}" --reps "$reps"
        for level in 1 3; do
            "$venv/bin/python" "$folder/peer.py" "$file" "$folder/theirs.nii.gz" "$level" "$reps"
        done
    done
done
