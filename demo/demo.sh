#!/usr/bin/env bash
# The whole loop on real parts, on this machine alone: etcd, kube-apiserver and
# Flux from the tools, and gsq with its embedded registry. Everything lives in a
# temporary folder, and nothing is left running, however this ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Settings of the caller's shell play no part.
for setting in $(compgen -e); do
  case $setting in GSQ_TOOLS_CACHE) ;; GSQ_* | LISTEN_ADDR | REGISTRY_HOST) unset "$setting" ;; esac
done

for program in go curl tar; do
  command -v "$program" >/dev/null || { echo "error: the demo needs $program" >&2; exit 1; }
done

work=""
server="" # pid of gsq serve
finish() {
  local code=$? pids=() leftover=()
  trap - EXIT
  trap '' INT TERM # let the cleaning finish
  [[ -n $work ]] || exit "$code"
  echo
  echo "== Stop everything"
  if [[ $code -ne 0 && -f $work/serve.log ]]; then
    echo "--- end of gsq's log:"
    tail -n 20 "$work/serve.log"
  fi
  if [[ -n $server ]]; then
    pids+=("$server")
    kill -TERM "$server" 2>/dev/null || true
    for _ in {1..200}; do
      kill -0 "$server" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  if [[ -f $work/cluster/processes.json ]]; then
    mapfile -t -O "${#pids[@]}" pids < <(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' "$work/cluster/processes.json")
  fi
  if [[ -x $work/localcluster ]]; then
    "$work/localcluster" down "$work/cluster" || code=1
  fi
  for pid in "${pids[@]}"; do
    if [[ -r /proc/$pid/cmdline ]] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -e "$work" -e 'bin/gsq'; then
      leftover+=("$pid")
    fi
  done
  if [[ ${#leftover[@]} -gt 0 ]]; then
    echo "FAILED: still running: ${leftover[*]}" >&2
    code=1
  else
    echo "Nothing is left running."
  fi
  rm -rf "$work"
  if [[ $code -eq 0 ]]; then
    echo
    echo "The demo is done, in $SECONDS s."
  else
    echo
    echo "The demo FAILED (exit code $code)." >&2
  fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

echo "== Build what is needed"
tools/build.sh clients etcd kubernetes flux
make build
work=$(mktemp -d)
go build -o "$work/localcluster" ./e2e/cluster/localcluster

echo
echo "== Start a Kubernetes API server and Flux"
"$work/localcluster" up "$work/cluster" | sed -n '/^cluster:/p'

free_port() {
  local port
  for _ in {1..100}; do
    port=$((10000 + RANDOM % 20000))
    # Nobody listens there: connecting fails.
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  echo "error: found no free port" >&2
  return 1
}

echo
echo "== Start gsq with its embedded registry"
address=127.0.0.1:$(free_port)
echo "\$ gsq serve --listen $address --data $work/data"
bin/gsq serve --listen "$address" --data "$work/data" >"$work/serve.log" 2>&1 &
server=$!
for _ in {1..300}; do
  kill -0 "$server" 2>/dev/null || { echo "FAILED: gsq ended" >&2; exit 1; }
  if curl -fsS -m 2 -o /dev/null "http://$address/readyz" 2>/dev/null; then
    ready=1
    break
  fi
  sleep 0.1
done
[[ -n ${ready:-} ]] || { echo "FAILED: gsq was not ready after 30 s" >&2; exit 1; }
echo "-> ready at http://$address"

kubectl=$(tools/build.sh --path kubectl)
oras=$(tools/build.sh --path oras)
crane=$(tools/build.sh --path crane)
mkdir "$work/home" # the caller's credentials and caches play no part
env HOME="$work/home" \
  SERVER="http://$address" REGISTRY="$address" KUBECONFIG="$work/cluster/kubeconfig" FLUX_EXPORT=1 \
  GSQ="$PWD/bin/gsq" KUBECTL="$kubectl" ORAS="$oras" CRANE="$crane" \
  demo/walk.sh
