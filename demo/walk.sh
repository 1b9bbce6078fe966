#!/usr/bin/env bash
# Walks the main job on parts that run already: declare, see it in the cluster,
# change it, delete it, and look at what the registry keeps. Every step is
# checked; the first one that does not happen ends it with exit code 1.
#
# Needs: SERVER (URL of gsq), REGISTRY (host:port), KUBECONFIG, and the programs
# GSQ, KUBECTL, ORAS, CRANE. With FLUX_EXPORT=1 it also tells Flux where to look.
set -euo pipefail
: "${SERVER:?}" "${REGISTRY:?}" "${KUBECONFIG:?}" "${GSQ:?}" "${KUBECTL:?}" "${ORAS:?}" "${CRANE:?}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bold=""
plain=""
if [[ -t 1 ]]; then
  bold=$'\e[1m'
  plain=$'\e[0m'
fi

step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# Shows a command as somebody would type it, and runs it.
show() {
  local shown=""
  for word in "$@"; do
    case $word in
      "$GSQ") word=gsq ;;
      "$KUBECTL") word=kubectl ;;
      "$ORAS") word=oras ;;
      "$CRANE") word=crane ;;
      *[!A-Za-z0-9_./:=@%+,-]*) word="'$word'" ;;
    esac
    shown+=" $word"
  done
  echo "\$$shown"
  "$@" || fail "$shown"
}

# Polls a command, silently, until it succeeds.
await() { # what, command...
  local what=$1 start=$SECONDS
  shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS - start >= 90)); then
      "$KUBECTL" get ocirepositories,kustomizations -A >&2 || true
      fail "after 90 s: $what"
    fi
    sleep 0.5
  done
  echo "-> $what (after $((SECONDS - start)) s)"
}

post() { # body
  show curl -fsS -X POST "$SERVER/api/v1/resources" -H 'Content-Type: application/json' -d "$1"
}

in_cluster() { # name, jsonpath, expected
  [[ $("$KUBECTL" get platformresource "$1" -n default -o "jsonpath=$2") == "$3" ]]
}

not_in_cluster() { # name
  local found
  # With --ignore-not-found a failure means that the API server did not answer.
  found=$("$KUBECTL" get platformresource "$1" -n default --ignore-not-found -o name) && [[ -z $found ]]
}

step "Declare a virtual machine through the API"
post '{"name":"web","spec":{"type":"vm","size":"small","region":"eu-north-1","replicas":2}}'

step "Declare a database with the CLI"
show cat "$here/database.yaml"
show "$GSQ" apply -f "$here/database.yaml" --server "$SERVER"
show "$GSQ" get --server "$SERVER"

if [[ ${FLUX_EXPORT:-} == 1 ]]; then
  step "Tell Flux where the catalog is"
  # A short interval, so that the demo need not wait for the usual one.
  export=("$GSQ" flux export -n default --server "$SERVER" --interval 2s)
  echo "\$ gsq${export[*]#"$GSQ"} | kubectl apply -f -"
  objects=$("${export[@]}") || fail "gsq flux export"
  echo "$objects"
  "$KUBECTL" apply --server-side --validate=strict -f - <<<"$objects" || fail "kubectl apply"
fi

step "Both appear in the cluster"
await "the virtual machine is there" in_cluster web '{.spec.size}/{.spec.replicas}' small/2
await "the database is there" in_cluster orders '{.spec.type}/{.spec.size}' database/large
show "$KUBECTL" get platformresources

step "Make the virtual machine bigger"
post '{"name":"web","spec":{"type":"vm","size":"medium","region":"eu-north-1","replicas":3}}'
await "the cluster has the new spec" in_cluster web '{.spec.size}/{.spec.replicas}' medium/3
show "$KUBECTL" get platformresources

step "Delete it"
show curl -fsS -X DELETE "$SERVER/api/v1/resources/web"
await "Flux pruned it" not_in_cluster web
in_cluster orders '{.spec.type}/{.spec.size}' database/large || fail "the database is gone too"
show "$KUBECTL" get platformresources

step "The registry keeps every version: the machine's history, its last one a tombstone"
show "$ORAS" repo tags --plain-http "$REGISTRY/gitops-squared/resources/default/web"
versions=$("$ORAS" repo tags --plain-http "$REGISTRY/gitops-squared/resources/default/web" | grep -c '^v') || fail "no versions"
[[ $versions == 3 ]] || fail "the machine has $versions versions, not 3"
show "$ORAS" manifest fetch --plain-http --pretty "$REGISTRY/gitops-squared/resources/default/web:latest"
"$ORAS" manifest fetch --plain-http "$REGISTRY/gitops-squared/resources/default/web:latest" |
  grep -q '"io.gitops-squared.resource.deleted":"true"' || fail "the last version is not a tombstone"

step "And every revision of the catalog that Flux read"
show "$ORAS" repo tags --plain-http "$REGISTRY/gitops-squared/catalog"
show "$ORAS" manifest fetch --plain-http --pretty "$REGISTRY/gitops-squared/catalog:latest"
echo "\$ crane export $REGISTRY/gitops-squared/catalog:latest - | tar -tv"
listing=$("$CRANE" export "$REGISTRY/gitops-squared/catalog:latest" - | tar -tv) || fail "crane export"
echo "$listing"
grep -q 'manifests/default-orders.yaml' <<<"$listing" || fail "the database is not in the catalog"
if grep -q 'manifests/default-web.yaml' <<<"$listing"; then fail "the machine is still in the catalog"; fi

step "The past answers: what happened to the machine, and what the last revisions changed"
show "$GSQ" history web --server "$SERVER"
show "$GSQ" revisions --server "$SERVER"

step "Take the deletion back"
deleted=$("$GSQ" history web --limit 1 -o json --server "$SERVER" 2>/dev/null | jq -r '.. | .revision? | .number? // empty' | head -n 1) || fail "gsq history"
show "$GSQ" rollback --to "r$((deleted - 1))" --yes --reason "we still need it" --server "$SERVER"
await "the machine is back" in_cluster web '{.spec.size}/{.spec.replicas}' medium/3
show "$KUBECTL" get platformresources

step "Prove that the registry holds what was committed, and nothing else"
show "$GSQ" fsck --server "$SERVER"
