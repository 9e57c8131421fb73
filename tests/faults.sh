#!/usr/bin/env bash
# Faults that only root can make: a full disk, a read-only disk, files and folders without permission.
#
#   tests/faults.sh PATH/TO/voxshield
#
# Each line says what was done and what happened; the exit code is that of the last check that failed.
set -uo pipefail
program="$(realpath "$1")"
work="$(mktemp -d)"
code=0
trap 'umount -q "$work/small" "$work/locked"; rm -rf "$work"' EXIT

# The data must be readable for the user without rights.
chmod 755 "$work"
"$program" demo --help >/dev/null || exit 2
say() { printf '%-58s %s\n' "$1" "$2"; }
check() { # name, expected exit code, found exit code, pattern, text
    if [[ "$2" == "$3" ]] && grep -q -- "$4" <<<"$5"; then
        say "$1" "exit $3: $(head -n1 <<<"$5" | cut -c1-150)"
    else
        say "$1" "FAILED: exit $3 instead of $2: $5"
        code=1
    fi
}
protect() { "$program" protect --quiet --method checkerboard "$@" 2>&1 >/dev/null; }
same() { diff -r <(cd "$1" && find . -type f ! -name voxshield.json -exec sha256sum {} + | sort) <(cd "$2" && find . -type f ! -name voxshield.json -exec sha256sum {} + | sort); }

clean="$work/clean"
cp -r "${VOXSHIELD_FAULT_DATA:?a folder with a small dataset}" "$clean"
chmod -R a+rX "$clean"
protect "$clean" "$work/whole" || exit 2

mkdir "$work/small" "$work/locked"
size=$(($(du -sk "$work/whole" | cut -f1) / 2))
mount -t tmpfs -o size="${size}k" tmpfs "$work/small" || exit 2
text="$(protect "$clean" "$work/small/out")"
check 'full disk' 2 $? 'No space left' "$text"
if find "$work/small/out" -name '*.tmp' | grep -q .; then say 'full disk' 'FAILED: temporary files'; code=1; fi
mount -o remount,size=1g "$work/small"
text="$(protect "$clean" "$work/small/out" --resume)"
check 'full disk, then space and --resume' 0 $? '' "$text"
same "$work/whole" "$work/small/out" && say 'full disk, then space and --resume' 'the bytes of an undisturbed run' || code=1

mount -t tmpfs -o ro tmpfs "$work/locked"
text="$(protect "$clean" "$work/locked/out")"
check 'read-only target' 2 $? 'Read-only file system' "$text"

nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
mkdir -m 755 "$work/mine"
text="$(nobody "$program" protect --quiet --method checkerboard "$clean" "$work/mine/out" 2>&1)"
check 'no permission for the target' 2 $? 'Permission denied' "$text"
mkdir -m 777 "$work/yours"
image="$(find "$clean" -name '*.nii.gz' -path '*mages*' | sort | head -n1)"
chmod 000 "$image"
text="$(nobody "$program" protect --quiet --method checkerboard "$clean" "$work/yours/out" 2>&1 >/dev/null)"
check 'no permission for one image: the others are protected' 1 $? '' "$text"
grep -q 'Permission denied' "$work/yours/out/voxshield.json" || code=1
exit $code
