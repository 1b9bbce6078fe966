// Package artifact turns resources and commits into OCI manifests and back:
// media types, repository names, tags and bytes. It knows no network and no
// clock; docs/formats.md describes what it writes.
package artifact

import (
	"fmt"
	"strconv"
	"strings"

	"gitops-squared.io/gsq/internal/intent"
)

// Media types.
const (
	TypeResource     = "application/vnd.gitops-squared.resource.v1"
	TypeResourceYAML = "application/vnd.gitops-squared.manifest.v1+yaml"
	TypeFluxConfig   = "application/vnd.cncf.flux.config.v1+json"
	TypeFluxContent  = "application/vnd.cncf.flux.content.v1.tar+gzip"
	TypeSystemConfig = "application/vnd.gitops-squared.commit.v1+json"
	TypeSystem       = "application/vnd.gitops-squared.system.v1+json"
	TypeWriter       = "application/vnd.gitops-squared.writer.v1"
	TypeWriterClaim  = "application/vnd.gitops-squared.writer.v1+json"
	TypeDeployment   = "application/vnd.gitops-squared.deployment.v1+json"
	TypeProbe        = "application/vnd.gitops-squared.probe.v1"

	TypeCheckpoint        = "application/vnd.gitops-squared.checkpoint.v1+json"
	TypeCheckpointContent = "application/vnd.gitops-squared.checkpoint.v1.tar+gzip"
)

// Annotations of resource artifacts.
const (
	AnnotationName      = "io.gitops-squared.resource.name"
	AnnotationNamespace = "io.gitops-squared.resource.namespace"
	AnnotationVersion   = "io.gitops-squared.resource.version"
	AnnotationDeleted   = "io.gitops-squared.resource.deleted"
)

// Latest is the tag that moves.
const Latest = "latest"

// DefaultNamespace is the one that the un-namespaced calls mean, and whose
// catalog has the short name.
const DefaultNamespace = "default"

// Layout names the repositories under a prefix.
type Layout struct {
	Prefix string // without a slash at the end
}

// Resource is the repository of one resource's history.
func (l Layout) Resource(r intent.Ref) string {
	return l.Prefix + "/resources/" + r.Namespace + "/" + r.Name
}

// Catalog is the repository of a namespace's catalog.
func (l Layout) Catalog(namespace string) string {
	if namespace == DefaultNamespace {
		return l.Prefix + "/catalog"
	}
	return l.Prefix + "/catalogs/" + namespace
}

// System is the repository of the namespaces and their settings.
func (l Layout) System() string { return l.Prefix + "/system" }

// Cluster is the repository of a cluster's deployment records.
func (l Layout) Cluster(name string) string { return l.Prefix + "/clusters/" + name }

// Writer is the repository of the writer claim.
func (l Layout) Writer() string { return l.Prefix + "/writer" }

// RevisionTag is the write-once tag of revision n, r<n>.
func RevisionTag(n int64) string { return "r" + strconv.FormatInt(n, 10) }

// ParseRevisionTag reads what RevisionTag wrote, and nothing else.
func ParseRevisionTag(tag string) (int64, error) {
	if n, ok := parseNumber(tag, 'r'); ok {
		return n, nil
	}
	return 0, fmt.Errorf("%q is not a revision: it must be r and a number", tag)
}

// CheckpointTag is the write-once tag of the checkpoint of all revisions up to
// n, c<n>.
func CheckpointTag(n int64) string { return "c" + strconv.FormatInt(n, 10) }

// ParseCheckpointTag reads what CheckpointTag wrote, and nothing else.
func ParseCheckpointTag(tag string) (int64, error) {
	if n, ok := parseNumber(tag, 'c'); ok && n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("%q is not a checkpoint: it must be c and a number", tag)
}

// DeploymentTag is the write-once tag of the deployment record of that time,
// d<microseconds>.
func DeploymentTag(t intent.Version) string { return "d" + strconv.FormatInt(int64(t), 10) }

// ParseDeploymentTag reads what DeploymentTag wrote, and nothing else.
func ParseDeploymentTag(tag string) (intent.Version, error) {
	if rest, ok := strings.CutPrefix(tag, "d"); ok {
		if v, err := intent.ParseVersion("v" + rest); err == nil {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%q is not a deployment record: it must be d and a number of microseconds", tag)
}

// parseNumber reads a letter and a number in its shortest form.
func parseNumber(tag string, letter byte) (int64, bool) {
	if len(tag) < 2 || tag[0] != letter {
		return 0, false
	}
	n, err := strconv.ParseInt(tag[1:], 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == tag[1:]
}
