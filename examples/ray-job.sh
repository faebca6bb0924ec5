#!/usr/bin/env bash
# Trains one recipe by two workers of a Ray cluster:  bash examples/ray-job.sh
#
# The command runs on the cluster. Ray Train places two workers with a GPU each (with a core each where the cluster has
# no GPU), and each starts a process of the training. On all hosts there have to be zoo, by
# pip install 'zoo[jax-cuda,ray]', and a folder that all have (here /shared).
set -euo pipefail

# CHANGE: the dashboard of your cluster.
export RAY_API_SERVER_ADDRESS="${RAY_API_SERVER_ADDRESS:-http://127.0.0.1:8265}"

# CHANGE: recipe, photos, run, how many workers; --devices 4 gives each four GPUs. With --resume a run that has begun
# goes on, also with another number of workers.
#
# To end it: ray job stop. All processes save then after the same batch. Ray waits for that only for the seconds that
# RAY_JOB_STOP_WAIT_TIME_S said when the cluster was started (3): set it to 120.
ray job submit --runtime-env-json '{"env_vars": {"KERAS_BACKEND": "jax"}}' -- \
  zoo finetune /shared/pets.toml --data /shared/photos --run /shared/runs/pets --resume \
  --launcher ray --processes 2
