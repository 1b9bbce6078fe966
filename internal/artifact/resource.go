package artifact

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"sigs.k8s.io/yaml"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

const titleResource = "platformresource.yaml"

// Resource returns the artifact of one version of a resource. It is a pure
// function of the manifest: r must be what the manifest parses to.
func Resource(r intent.Resource, manifest []byte) registry.Artifact {
	return resourceArtifact(r.Ref, r.Version, manifest, false)
}

// ResourceOf is Resource for a manifest that was not parsed yet. It fails for
// a manifest that intent.Parse refuses.
func ResourceOf(manifest []byte) (intent.Resource, registry.Artifact, error) {
	r, err := intent.Parse(manifest)
	if err != nil {
		return intent.Resource{}, registry.Artifact{}, err
	}
	return r, Resource(r, manifest), nil
}

type tombstone struct {
	Deleted   bool   `json:"deleted"`
	DeletedAt string `json:"deletedAt"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Version   string `json:"version"`
}

// Tombstone returns the artifact of a resource's deletion. It is a pure
// function of name and version, so it can be rebuilt from a commit record.
func Tombstone(ref intent.Ref, v intent.Version) (registry.Artifact, error) {
	data, err := yaml.Marshal(tombstone{
		Deleted: true, DeletedAt: intent.FormatTime(v.Time()),
		Name: ref.Name, Namespace: ref.Namespace, Version: v.String(),
	})
	if err != nil {
		return registry.Artifact{}, fmt.Errorf("tombstone of %s: %w", ref, err)
	}
	return resourceArtifact(ref, v, data, true), nil
}

// UnpackResource reads what Resource or Tombstone wrote of this version of this
// resource, and nothing else. It returns nil for a tombstone.
func UnpackResource(ref intent.Ref, v intent.Version, a registry.Artifact) (*intent.Resource, error) {
	fail := func(err error) (*intent.Resource, error) {
		return nil, fmt.Errorf("manifest %s: not version %s of %s: %w", a.Manifest.Digest, v, ref, err)
	}
	if len(a.Blobs) != 2 || a.Blobs[1].MediaType != TypeResourceYAML {
		return fail(fmt.Errorf("want a config and one layer %s", TypeResourceYAML))
	}
	stone, err := Tombstone(ref, v)
	if err != nil {
		return fail(err)
	}
	if stone.Manifest.Digest == a.Manifest.Digest {
		return nil, nil
	}
	r, again, err := ResourceOf(a.Blobs[1].Data)
	switch {
	case err != nil:
		return fail(err)
	case r.Ref != ref || r.Version != v:
		return fail(fmt.Errorf("it is version %s of %s", r.Version, r.Ref))
	case again.Manifest.Digest != a.Manifest.Digest:
		return fail(fmt.Errorf("its YAML gives the manifest %s", again.Manifest.Digest))
	}
	return &r, nil
}

func resourceArtifact(ref intent.Ref, v intent.Version, data []byte, deleted bool) registry.Artifact {
	config, layer := emptyConfig(), registry.NewBlob(TypeResourceYAML, data)
	var manifest []byte
	if !deleted && intent.IsLabel(ref.Namespace) && intent.IsLabel(ref.Name) {
		manifest = labelled(ref, v, layer)
	} else {
		manifest = encode(resourceManifest(ref, v, config, layer, deleted))
	}
	return registry.Artifact{Manifest: registry.NewManifest(ocispec.MediaTypeImageManifest, manifest), Blobs: []registry.Blob{config, layer}}
}

func resourceManifest(ref intent.Ref, v intent.Version, config, layer registry.Blob, deleted bool) ocispec.Manifest {
	marks := func(more map[string]string) map[string]string {
		more[AnnotationName] = ref.Name
		more[AnnotationNamespace] = ref.Namespace
		more[AnnotationVersion] = v.String()
		if deleted {
			more[AnnotationDeleted] = "true"
		}
		return more
	}
	described := titled(layer, titleResource)
	described.Annotations = marks(described.Annotations)
	return ocispec.Manifest{
		ArtifactType: TypeResource,
		Config:       config.Descriptor(),
		Layers:       []ocispec.Descriptor{described},
		Annotations:  marks(map[string]string{ocispec.AnnotationCreated: intent.FormatTime(v.Time())}),
	}
}

// labelled is resourceManifest, encoded, for names that JSON writes as they
// are; so are versions, times and digests. There is one for each write, and for
// each resource at a start.
func labelled(ref intent.Ref, v intent.Version, layer registry.Blob) []byte {
	marks := `"` + AnnotationName + `":"` + ref.Name + `","` + AnnotationNamespace + `":"` + ref.Namespace + `","` + AnnotationVersion + `":"` + v.String() + `","`
	return []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageManifest + `","artifactType":"` + TypeResource +
		`","config":{"mediaType":"` + ocispec.MediaTypeEmptyJSON + `","digest":"` + emptyDigest + `","size":2},"layers":[{"mediaType":"` + TypeResourceYAML +
		`","digest":"` + string(layer.Digest) + `","size":` + strconv.Itoa(len(layer.Data)) + `,"annotations":{` + marks + ocispec.AnnotationTitle + `":"` + titleResource +
		`"}}],"annotations":{` + marks + ocispec.AnnotationCreated + `":"` + intent.FormatTime(v.Time()) + `"}}`)
}

// titled describes a layer that clients keep as a file of that name.
func titled(layer registry.Blob, title string) ocispec.Descriptor {
	d := layer.Descriptor()
	d.Annotations = map[string]string{ocispec.AnnotationTitle: title}
	return d
}

// emptyConfig is the config of artifacts that have none (OCI image
// specification 1.1, "Guidance for an empty descriptor").
func emptyConfig() registry.Blob {
	return registry.Blob{MediaType: ocispec.MediaTypeEmptyJSON, Digest: emptyDigest, Data: []byte("{}")}
}

const emptyDigest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

// pack makes an artifact of a manifest and its blobs.
func pack(m ocispec.Manifest, blobs ...registry.Blob) registry.Artifact {
	return registry.Artifact{Manifest: registry.NewManifest(ocispec.MediaTypeImageManifest, encode(m)), Blobs: blobs}
}

// encode adds what every manifest has. encoding/json sorts map keys, so the
// same manifest always has the same bytes.
func encode(m ocispec.Manifest) []byte {
	m.Versioned = specs.Versioned{SchemaVersion: 2}
	m.MediaType = ocispec.MediaTypeImageManifest
	data, err := json.Marshal(m)
	if err != nil {
		panic("artifact: a manifest of strings and numbers must encode: " + err.Error())
	}
	return data
}
