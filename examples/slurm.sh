#!/usr/bin/env bash
# Trains one recipe on two hosts of four GPUs each:  sbatch examples/slurm.sh
#
# zoo learns from Slurm who takes part, so that the command is that of one machine. It needs a folder that both hosts
# have (here /shared), and zoo in an environment there.

#SBATCH --job-name=pets
#SBATCH --nodes=2
# One process for each GPU: of the GPUs of its host, JAX gives each process the one of its number. So no
# --gpus-per-task, by which a process would see only one.
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
# Two minutes before its time is over all processes are told to end. They save after the same batch.
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=pets-%j.log

set -euo pipefail

# CHANGE: where zoo was installed, by: python3 -m venv /shared/venv && /shared/venv/bin/pip install 'zoo[jax-cuda]'
export PATH="/shared/venv/bin:$PATH"

# Only JAX trains in several processes.
export KERAS_BACKEND=jax

# CHANGE: recipe, photos, run. With --resume a run that has begun goes on, after a host has failed as well.
code=0
srun zoo finetune /shared/pets.toml --data /shared/photos --run /shared/runs/pets --resume || code=$?

# 143: told to end, and saved. The job waits for its turn again, and goes on there.
if [ "$code" -eq 143 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
