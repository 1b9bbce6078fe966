// Package intent holds what users declare: a resource, its reference, its
// version, and the rules that make a declaration valid. It knows no registry,
// no archive and no clock.
package intent

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/yaml"
)

// Names in the manifest of a PlatformResource.
const (
	APIVersion        = "gitops-squared.io/v1alpha1"
	Kind              = "PlatformResource"
	LabelManagedBy    = "app.kubernetes.io/managed-by"
	ManagedBy         = "gitops-squared"
	AnnotationVersion = "gitops-squared.io/version"
	AnnotationCreated = "gitops-squared.io/created-at"
)

// MaxManifestBytes bounds one resource's manifest.
const MaxManifestBytes = 64 << 10

// Spec is what is wanted. Its rules are those of the custom resource
// definition; a zero Replicas means the default.
type Spec struct {
	Type     string `json:"type"`
	Size     string `json:"size"`
	Region   string `json:"region,omitempty"`
	Replicas int    `json:"replicas,omitempty"`
}

// Ref names a resource.
type Ref struct {
	Namespace string
	Name      string
}

func (r Ref) String() string { return r.Namespace + "/" + r.Name }

// Resource is one declared intent in one version.
type Resource struct {
	Ref
	Spec    Spec
	Version Version
	Created Version // the version that created it; its time is the creation time
}

// Updated is when this version was declared.
func (r Resource) Updated() time.Time { return r.Version.Time() }

type manifest struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
}

type metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Manifest returns the resource's canonical YAML: the same resource gives the
// same bytes on any machine. It carries version and creation time, so that
// Parse gives the resource back. It fails for what Parse could not give back: a
// version that is none, and text that YAML cannot hold.
func (r Resource) Manifest() ([]byte, error) {
	if !r.Version.valid() || !r.Created.valid() {
		return nil, fmt.Errorf("manifest of %s: version and creation time are required", r.Ref)
	}
	if r.isPlain() {
		var buffer [512]byte
		return r.bounded(bytes.Clone(r.appendPlain(buffer[:0])))
	}
	return r.marshal()
}

// marshal is Manifest by the YAML library, for any text.
func (r Resource) marshal() ([]byte, error) {
	for _, s := range []string{r.Namespace, r.Name, r.Spec.Type, r.Spec.Size, r.Spec.Region} {
		if at, bad := unwritable(s); bad {
			return nil, fmt.Errorf("manifest of %s: %q: what stands at byte %d is not a character that YAML can hold", r.Ref, s, at)
		}
	}
	data, err := yaml.Marshal(manifest{
		APIVersion: APIVersion,
		Kind:       Kind,
		Metadata: metadata{
			Name:      r.Name,
			Namespace: r.Namespace,
			Labels:    map[string]string{LabelManagedBy: ManagedBy},
			Annotations: map[string]string{
				AnnotationVersion: r.Version.String(),
				AnnotationCreated: FormatTime(r.Created.Time()),
			},
		},
		Spec: r.Spec,
	})
	if err != nil {
		return nil, fmt.Errorf("manifest of %s: %w", r.Ref, err)
	}
	return r.bounded(data)
}

func (r Resource) bounded(data []byte) ([]byte, error) {
	if len(data) > MaxManifestBytes {
		return nil, fmt.Errorf("manifest of %s has %d bytes, at most %d are allowed", r.Ref, len(data), MaxManifestBytes)
	}
	return data, nil
}

// Parse reads a manifest that Manifest wrote. It accepts nothing else: a
// manifest that differs from the canonical one in a single byte is an error.
// It does not validate the spec against the schema.
func Parse(data []byte) (Resource, error) {
	if len(data) > MaxManifestBytes {
		return Resource{}, fmt.Errorf("manifest has %d bytes, at most %d are allowed", len(data), MaxManifestBytes)
	}
	if r, ok := parsePlain(data); ok {
		return r, nil
	}
	return parse(data)
}

// parse is Parse by the YAML library, for any text.
func parse(data []byte) (Resource, error) {
	var m manifest
	if err := yaml.UnmarshalStrict(data, &m); err != nil {
		return Resource{}, fmt.Errorf("manifest: %w", err)
	}
	r := Resource{Ref: Ref{Namespace: m.Metadata.Namespace, Name: m.Metadata.Name}, Spec: m.Spec}
	var err error
	if r.Version, err = ParseVersion(m.Metadata.Annotations[AnnotationVersion]); err != nil {
		return Resource{}, fmt.Errorf("manifest of %s: annotation %s: %w", r.Ref, AnnotationVersion, err)
	}
	created, err := ParseTime(m.Metadata.Annotations[AnnotationCreated])
	if err != nil {
		return Resource{}, fmt.Errorf("manifest of %s: annotation %s: %w", r.Ref, AnnotationCreated, err)
	}
	r.Created = Version(created.UnixMicro())
	again, err := r.Manifest()
	if err != nil {
		return Resource{}, err
	}
	if !bytes.Equal(again, data) {
		return Resource{}, fmt.Errorf("manifest of %s: %w", r.Ref, ErrNotCanonical)
	}
	return r, nil
}

// ErrNotCanonical says that bytes mean a resource, but are not those that the
// ledger writes for it.
var ErrNotCanonical = errors.New("not in canonical form")
