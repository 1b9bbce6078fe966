package main

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"gitops-squared.io/gsq/api"
)

// The forms of Flux 2.8: source.toolkit.fluxcd.io/v1 and
// kustomize.toolkit.fluxcd.io/v1, as far as they are needed.
type (
	fluxObject struct {
		APIVersion string       `json:"apiVersion"`
		Kind       string       `json:"kind"`
		Metadata   fluxMetadata `json:"metadata"`
		Spec       any          `json:"spec,omitempty"`
	}
	fluxMetadata struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace,omitempty"`
		Labels    map[string]string `json:"labels"`
	}
	ociRepositorySpec struct {
		Interval  string         `json:"interval"`
		Timeout   string         `json:"timeout"`
		URL       string         `json:"url"`
		Insecure  bool           `json:"insecure,omitempty"`
		SecretRef *fluxReference `json:"secretRef,omitempty"`
		Ref       ociReference   `json:"ref"`
	}
	ociReference struct {
		Tag string `json:"tag"`
	}
	kustomizationSpec struct {
		Interval        string        `json:"interval"`
		RetryInterval   string        `json:"retryInterval"`
		Timeout         string        `json:"timeout"`
		SourceRef       fluxReference `json:"sourceRef"`
		Path            string        `json:"path"`
		Prune           bool          `json:"prune"`
		Wait            bool          `json:"wait"`
		TargetNamespace string        `json:"targetNamespace"`
	}
	fluxReference struct {
		Kind string `json:"kind,omitempty"`
		Name string `json:"name"`
	}
)

// Flux's own times. A new catalog is applied as soon as it is pulled; the
// Kustomization's interval only corrects drift.
const (
	driftInterval = 10 * time.Minute
	retryInterval = 30 * time.Second
	applyTimeout  = 5 * time.Minute
	pullTimeout   = 60 * time.Second
)

// fluxSource says where Flux finds one namespace's catalog.
type fluxSource struct {
	namespace     string
	fluxNamespace string
	registry      string // host and port
	insecure      bool   // plain HTTP
	repository    string
	secret        string // of registry credentials; may be empty
	interval      time.Duration
}

// objects returns what makes Flux apply the catalog: the namespace, unless
// every cluster has it, the repository and the Kustomization.
func (s fluxSource) objects() []any {
	name := fluxName(s.namespace)
	labels := map[string]string{"app.kubernetes.io/part-of": "gitops-squared"}
	var objects []any
	if s.namespace != api.DefaultNamespace {
		objects = append(objects, fluxObject{APIVersion: "v1", Kind: "Namespace", Metadata: fluxMetadata{Name: s.namespace, Labels: labels}})
	}
	repository := ociRepositorySpec{
		Interval: s.interval.String(),
		Timeout:  pullTimeout.String(),
		URL:      "oci://" + s.registry + "/" + s.repository,
		Insecure: s.insecure,
		Ref:      ociReference{Tag: "latest"},
	}
	if s.secret != "" {
		repository.SecretRef = &fluxReference{Name: s.secret}
	}
	meta := fluxMetadata{Name: name, Namespace: s.fluxNamespace, Labels: labels}
	return append(objects,
		fluxObject{APIVersion: "source.toolkit.fluxcd.io/v1", Kind: "OCIRepository", Metadata: meta, Spec: repository},
		fluxObject{APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization", Metadata: meta, Spec: kustomizationSpec{
			Interval:        driftInterval.String(),
			RetryInterval:   retryInterval.String(),
			Timeout:         applyTimeout.String(),
			SourceRef:       fluxReference{Kind: "OCIRepository", Name: name},
			Path:            "./manifests",
			Prune:           true,
			Wait:            true,
			TargetNamespace: s.namespace,
		}})
}

// maxFluxName is the length of a label's value: kustomize-controller labels
// what it applies with the Kustomization's name.
const maxFluxName = 63

// fluxName returns the name of a namespace's Flux objects, a different one for
// each namespace.
func fluxName(namespace string) string {
	name := "gitops-squared-" + namespace
	if len(name) <= maxFluxName {
		return name
	}
	sum := sha256.Sum256([]byte(namespace))
	suffix := "-" + hex.EncodeToString(sum[:5])
	return name[:maxFluxName-len(suffix)] + suffix
}
