package artifact

import (
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

const titleDeployment = "deployment.json"

// MaxDeploymentBytes bounds a deployment record: ten thousand namespaces.
const MaxDeploymentBytes = 8 << 20

// Deployment is a deployment record: what happened to catalogs in a cluster at
// a moment, and what it ran then.
type Deployment struct {
	Format      int                 `json:"formatVersion"`
	Cluster     string              `json:"cluster"`
	Time        string              `json:"time"`        // RFC 3339 in UTC with microseconds; that of the tag
	Transitions []Transition        `json:"transitions"` // sorted by namespace, each named once; at least one
	Running     map[string]Deployed `json:"running"`     // by namespace, what was applied last
}

// States of a catalog in a cluster.
const (
	DeploymentApplied = "applied" // the API server took it
	DeploymentReady   = "ready"   // and everything in it is ready
	DeploymentFailed  = "failed"
)

// Transition is what happened to the catalog of one namespace.
type Transition struct {
	Namespace string `json:"namespace"`
	Deployed
	State   string `json:"state"`             // DeploymentApplied, DeploymentReady or DeploymentFailed
	Message string `json:"message,omitempty"` // Flux's own
}

// Deployed names the revision that a cluster has of a namespace.
type Deployed struct {
	Revision int64         `json:"revision"`
	Digest   digest.Digest `json:"digest"` // of the catalog's manifest
}

// Stamp is the record's time as a point in the ledger's time.
func (d Deployment) Stamp() (intent.Version, error) {
	t, err := intent.ParseTime(d.Time)
	if err != nil {
		return 0, fmt.Errorf("deployment record: %w", err)
	}
	return intent.Version(t.UnixMicro()), nil
}

// Pack returns the record's artifact. It fails for what UnpackDeployment
// refuses.
func (d Deployment) Pack() (registry.Artifact, error) {
	if err := d.check(); err != nil {
		return registry.Artifact{}, err
	}
	data := canonical(d)
	if len(data) > MaxDeploymentBytes {
		return registry.Artifact{}, fmt.Errorf("deployment record: %d bytes, at most %d are allowed", len(data), MaxDeploymentBytes)
	}
	config, layer := emptyConfig(), registry.NewBlob(TypeDeployment, data)
	return pack(ocispec.Manifest{
		ArtifactType: TypeDeployment,
		Config:       config.Descriptor(),
		Layers:       []ocispec.Descriptor{titled(layer, titleDeployment)},
		Annotations:  map[string]string{ocispec.AnnotationCreated: d.Time},
	}, config, layer), nil
}

// UnpackDeployment reads what Pack wrote, and nothing else.
func UnpackDeployment(a registry.Artifact) (Deployment, error) {
	if len(a.Blobs) != 2 || a.Blobs[1].MediaType != TypeDeployment {
		return Deployment{}, fmt.Errorf("manifest %s: not a deployment record", a.Manifest.Digest)
	}
	var d Deployment
	if err := parseCanonical(a.Blobs[1].Data, &d); err != nil {
		return Deployment{}, fmt.Errorf("manifest %s: deployment record: %w", a.Manifest.Digest, err)
	}
	again, err := d.Pack()
	if err != nil {
		return Deployment{}, err
	}
	if again.Manifest.Digest != a.Manifest.Digest {
		return Deployment{}, fmt.Errorf("manifest %s: deployment record: %w", a.Manifest.Digest, intent.ErrNotCanonical)
	}
	return d, nil
}

func (d Deployment) check() error {
	if d.Format != RecordFormat {
		return fmt.Errorf("deployment record: format version %d, want %d", d.Format, RecordFormat)
	}
	if !intent.IsLabel(d.Cluster) {
		return fmt.Errorf("deployment record: %q is not the name of a cluster", d.Cluster)
	}
	if _, err := d.Stamp(); err != nil {
		return err
	}
	if len(d.Transitions) == 0 || d.Running == nil {
		return errors.New("deployment record: transitions and running are required")
	}
	for i, t := range d.Transitions {
		if i > 0 && t.Namespace <= d.Transitions[i-1].Namespace {
			return fmt.Errorf("deployment record: transition %d: namespaces must increase", i)
		}
		if err := t.check(t.Namespace); err != nil {
			return err
		}
		switch t.State {
		case DeploymentApplied, DeploymentReady, DeploymentFailed:
		default:
			return fmt.Errorf("deployment record: namespace %s: unknown state %q", t.Namespace, t.State)
		}
		if !areUTF8(t.Message) {
			return fmt.Errorf("deployment record: namespace %s: its message must be UTF-8", t.Namespace)
		}
	}
	for name, r := range d.Running {
		if err := r.check(name); err != nil {
			return err
		}
	}
	return nil
}

func (d Deployed) check(namespace string) error {
	if !intent.IsLabel(namespace) {
		return fmt.Errorf("deployment record: %q is not the name of a namespace", namespace)
	}
	if d.Revision < 0 {
		return fmt.Errorf("deployment record: namespace %s: revision %d", namespace, d.Revision)
	}
	if err := d.Digest.Validate(); err != nil {
		return fmt.Errorf("deployment record: namespace %s: %w", namespace, err)
	}
	return nil
}
