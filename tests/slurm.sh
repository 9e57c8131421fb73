#!/usr/bin/env bash
# A Slurm cluster of this one machine (Debian: slurm-wlm, munge; as root), a job array of shards, and the run that completes the output.
#
#   VOXSHIELD_FAULT_DATA=DATASET tests/slurm.sh PATH/TO/voxshield
set -euo pipefail
program="$(realpath "$1")"
data="$(realpath "${VOXSHIELD_FAULT_DATA:?a folder with a small dataset}")"
work="$(mktemp -d)"
host="$(hostname -s)"
pids=()
stop() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"; }
trap stop EXIT

mkdir -p "$work"/{state,spool} /run/munge
chown munge: /run/munge
[[ -e /etc/munge/munge.key ]] || mungekey --create
chown munge: /etc/munge/munge.key
setpriv --reuid=munge --regid=munge --clear-groups munged --foreground &
pids+=($!)
cat >"$work/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/ctld.pid
SlurmdPidFile=$work/d.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=$host CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$work/slurm.conf"
sleep 1
slurmctld -D >"$work/ctld.log" 2>&1 &
pids+=($!)
slurmd -D >"$work/d.log" 2>&1 &
pids+=($!)
for _ in $(seq 60); do
    sinfo --noheader --format=%T 2>/dev/null | grep -q idle && break
    sleep 1
done
sinfo || { tail -n 20 "$work"/*.log; exit 1; }

common=("$program" protect --quiet --method checkerboard "$data" "$work/out")
cat >"$work/shard.sh" <<JOB
#!/bin/bash
#SBATCH --array=1-4
#SBATCH --output=$work/shard-%a.log
${common[*]} --shard "\$SLURM_ARRAY_TASK_ID/4"
JOB
job="$(sbatch --parsable "$work/shard.sh")"
sbatch --wait --output="$work/last.log" --dependency="afterany:$job" --wrap "${common[*]} --resume"
cat "$work"/shard-*.log "$work/last.log"
ls "$work/out/.voxshield" 2>/dev/null && exit 1
"$program" protect --quiet --method checkerboard "$data" "$work/whole" >/dev/null
sums() { (cd "$1" && find . -type f ! -name voxshield.json -exec sha256sum {} + | sort); }
diff <(sums "$work/out") <(sums "$work/whole")
"$program" verify --quiet "$data" "$work/out"
echo 'the shards made the bytes of one run'
