#!/usr/bin/env bash
# Builds the programs that the tests and the demo drive, each pinned in a Go
# module of its own beside this script, into a cache outside the tree:
#
#   ${GSQ_TOOLS_CACHE:-${XDG_CACHE_HOME:-~/.cache}/gsq-tools}/<module>-<hash of its pins>/<program>
#
# A module is built again only when its go.mod, its go.sum or the Go version
# changes. A folder gets its final name only when it is complete, so an
# interrupted build leaves nothing that a later one would trust.
#
# usage: tools/build.sh [MODULE...]     build these modules, or all of them
#        tools/build.sh --path PROGRAM  print where a built program is; exit 1 if it is not built
#        tools/build.sh --list          print the programs
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${GSQ_TOOLS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gsq-tools}

modules=(clients distribution etcd kubernetes flux lint) # quick ones first
declare -A programs=(
  [clients]="oras crane"
  [distribution]="registry"
  [etcd]="etcd"
  [kubernetes]="kube-apiserver kubectl"
  [flux]="source-controller kustomize-controller"
  [lint]="staticcheck govulncheck"
)

say() { echo "tools: $*"; }

module_of() { # program
  local module
  for module in "${modules[@]}"; do
    [[ " ${programs[$module]} " != *" $1 "* ]] || { echo "$module"; return; }
  done
  echo "tools: no program \"$1\" is pinned; there are: ${programs[*]}" >&2
  return 2
}

folder_of() { # module
  local pins
  pins=$({ cat "$here/$1/go.mod" "$here/$1/go.sum"; go env GOVERSION GOOS GOARCH; } | sha256sum)
  echo "$cache/$1-${pins:0:16}"
}

case ${1:-} in
  --list)
    printf '%s\n' "${programs[@]}" | tr ' ' '\n' | sort
    exit
    ;;
  --path)
    module=$(module_of "${2:?usage: tools/build.sh --path PROGRAM}")
    program=$(folder_of "$module")/$2
    if [[ ! -x $program ]]; then
      echo "tools: $2 is not built: run \"make tools\"" >&2
      exit 1
    fi
    echo "$program"
    exit
    ;;
  --*)
    echo "usage: tools/build.sh [MODULE... | --path PROGRAM | --list]" >&2
    exit 2
    ;;
esac

compiler="" # pid of the build that is under way
partial=""  # its folder
cleanup() {
  if [[ -n $compiler ]]; then
    kill "$compiler" 2>/dev/null || true
    wait "$compiler" 2>/dev/null || true
  fi
  [[ -z $partial ]] || rm -rf "$partial"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

build() { # module, "i/n", folder
  local module=$1 step="[$2] $1" folder=$3 start=$SECONDS beat=20
  say "$step: building ${programs[$module]}"
  partial=$(mktemp -d "$cache/.$module.XXXXXX")
  # Pins decide what is built, so nothing of the caller's Go settings may.
  (cd "$here/$module" && CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOWORK=off \
    exec go build -trimpath -ldflags '-s -w' -o "$partial/" tool) &
  compiler=$!
  while kill -0 "$compiler" 2>/dev/null; do
    sleep 1
    if ((SECONDS - start >= beat)); then
      say "$step: still building, $((SECONDS - start)) s"
      beat=$((beat + 20))
    fi
  done
  wait "$compiler" || { compiler=""; say "$step: the build failed" >&2; exit 1; }
  compiler=""

  # etcd's main package is the root of its module, .../server/v3.
  local program name
  for name in server v3; do
    [[ ! -e $partial/$name ]] || mv "$partial/$name" "$partial/etcd"
  done
  for program in ${programs[$module]}; do
    [[ -x $partial/$program ]] || { say "$step: $program is missing from what was built" >&2; exit 1; }
  done
  chmod 755 "$partial"
  mv -T "$partial" "$folder"
  partial=""
  summary+=("$(printf '%-14s %4d s' "$module" $((SECONDS - start)))")
}

wanted=("$@")
[[ $# -gt 0 ]] || wanted=("${modules[@]}")
for module in "${wanted[@]}"; do
  if [[ -z ${programs[$module]:-} ]]; then
    echo "tools: no module \"$module\"; there are: ${modules[*]}" >&2
    exit 2
  fi
done

mkdir -p "$cache"
summary=()
position=0
for module in "${wanted[@]}"; do
  position=$((position + 1))
  folder=$(folder_of "$module")
  [[ ! -d $folder ]] || continue
  exec {lock}>"$cache/$module.lock"
  until flock -w 20 "$lock"; do say "[$position/${#wanted[@]}] $module: waiting for another build of it, $SECONDS s"; done
  # What an interrupted build left: nobody builds this module while the lock is held.
  rm -rf "$cache/.$module."*
  [[ -d $folder ]] || build "$module" "$position/${#wanted[@]}" "$folder"
  exec {lock}>&-
done

if [[ ${#summary[@]} -gt 0 ]]; then
  printf 'tools: built %s\n' "${summary[@]}"
fi
say "ready in $cache"
