package faulty

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// memory is the content of a registry. Its methods take effect at once and
// whole; they fail only as the contract of registry.Registry says.
type memory struct {
	mu    sync.Mutex
	repos map[string]*repository
}

type repository struct {
	blobs     map[digest.Digest][]byte
	manifests map[digest.Digest]registry.Manifest
	tags      map[string]digest.Digest
	previous  map[string]digest.Digest // what a tag named before; absent if it did not exist
}

// repo returns the repository, made if it is not there. The caller holds mu.
func (m *memory) repo(name string) *repository {
	r, ok := m.repos[name]
	if !ok {
		r = &repository{
			blobs:     map[digest.Digest][]byte{},
			manifests: map[digest.Digest]registry.Manifest{},
			tags:      map[string]digest.Digest{},
			previous:  map[string]digest.Digest{},
		}
		m.repos[name] = r
	}
	return r
}

func (m *memory) putBlob(repo string, b registry.Blob) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.repo(repo).blobs[b.Digest] = slices.Clone(b.Data)
}

// putManifest refuses a manifest that names a blob which is not there.
func (m *memory) putManifest(repo string, manifest registry.Manifest) error {
	content, err := manifest.Content()
	if err != nil {
		return fmt.Errorf("%w: %v", registry.ErrRefused, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.repo(repo)
	for _, d := range content.Blobs {
		if _, ok := r.blobs[d.Digest]; !ok {
			return fmt.Errorf("%s: manifest %s: %w: it names the blob %s, which is unknown", repo, manifest.Digest, registry.ErrRefused, d.Digest)
		}
	}
	manifest.Data = slices.Clone(manifest.Data)
	r.manifests[manifest.Digest] = manifest
	return nil
}

// checkTag refuses a tag of a manifest that was not put.
func (m *memory) checkTag(t registry.Tag) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.repo(t.Repository).manifests[t.Manifest.Digest]; !ok {
		return fmt.Errorf("%s:%s: %w: manifest %s is unknown", t.Repository, t.Name, registry.ErrRefused, t.Manifest.Digest)
	}
	return nil
}

func (m *memory) putTag(repo, tag string, to digest.Digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.repo(repo)
	r.remember(tag)
	r.tags[tag] = to
}

// remember keeps what a tag names now as its previous value.
func (r *repository) remember(tag string) {
	if old, ok := r.tags[tag]; ok {
		r.previous[tag] = old
	} else {
		delete(r.previous, tag)
	}
}

// find returns the manifest that a tag or digest names; a stale answer is the
// one that the tag had before it last changed.
func (m *memory) find(repo, reference string, stale bool) (registry.Manifest, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.repo(repo)
	d := digest.Digest(reference)
	if d.Validate() != nil {
		tags := r.tags
		if stale {
			tags = r.previous
		}
		d = tags[reference]
	}
	found, ok := r.manifests[d]
	return found, ok
}

func (m *memory) manifest(repo, reference string, stale, corrupt bool) (registry.Manifest, error) {
	manifest, ok := m.find(repo, reference, stale)
	if !ok {
		return registry.Manifest{}, fmt.Errorf("%s: %q: %w", repo, reference, registry.ErrNotFound)
	}
	manifest.Data = received(manifest.Data, corrupt)
	if err := registry.Verify(manifest.Digest, manifest.Data); err != nil {
		return registry.Manifest{}, fmt.Errorf("%s: %q: manifest: %w", repo, reference, err)
	}
	return manifest, nil
}

func (m *memory) blob(repo string, d ocispec.Descriptor, corrupt bool) (registry.Blob, error) {
	if d.Size > registry.MaxBlobBytes {
		return registry.Blob{}, fmt.Errorf("%s: blob %s: %w: %d bytes", repo, d.Digest, registry.ErrTooLarge, d.Size)
	}
	m.mu.Lock()
	data, ok := m.repo(repo).blobs[d.Digest]
	m.mu.Unlock()
	if !ok {
		return registry.Blob{}, fmt.Errorf("%s: blob %s: %w: it is missing", repo, d.Digest, registry.ErrCorrupt)
	}
	data = received(data, corrupt)
	if err := registry.Verify(d.Digest, data); err != nil {
		return registry.Blob{}, fmt.Errorf("%s: blob: %w", repo, err)
	}
	if int64(len(data)) != d.Size {
		return registry.Blob{}, fmt.Errorf("%s: blob %s: %w: it has %d bytes, not %d", repo, d.Digest, registry.ErrCorrupt, len(data), d.Size)
	}
	return registry.Blob{MediaType: d.MediaType, Digest: d.Digest, Data: data}, nil
}

func (m *memory) get(repo, reference string, stale, corrupt bool) (registry.Artifact, error) {
	manifest, err := m.manifest(repo, reference, stale, corrupt)
	if err != nil {
		return registry.Artifact{}, err
	}
	content, err := manifest.Content()
	if err != nil {
		return registry.Artifact{}, fmt.Errorf("%s: %q: %w: %v", repo, reference, registry.ErrCorrupt, err)
	}
	artifact := registry.Artifact{Manifest: manifest}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range content.Blobs {
		data, ok := m.repo(repo).blobs[d.Digest]
		if !ok {
			return registry.Artifact{}, fmt.Errorf("%s: %q: %w: its blob %s is missing", repo, reference, registry.ErrCorrupt, d.Digest)
		}
		if err := registry.Verify(d.Digest, data); err != nil {
			return registry.Artifact{}, fmt.Errorf("%s: %q: blob: %w", repo, reference, err)
		}
		artifact.Blobs = append(artifact.Blobs, registry.Blob{MediaType: d.MediaType, Digest: d.Digest, Data: slices.Clone(data)})
	}
	return artifact, nil
}

// received returns a copy of data as it comes over the network: with its last
// byte changed if it is to be corrupt.
func received(data []byte, corrupt bool) []byte {
	data = slices.Clone(data)
	if corrupt && len(data) > 0 {
		data[len(data)-1] ^= 1
	}
	return data
}

func (m *memory) resolve(repo, reference string, stale bool) (ocispec.Descriptor, error) {
	manifest, ok := m.find(repo, reference, stale)
	if !ok {
		return ocispec.Descriptor{}, fmt.Errorf("%s: %q: %w", repo, reference, registry.ErrNotFound)
	}
	return ocispec.Descriptor{MediaType: manifest.MediaType, Digest: manifest.Digest, Size: int64(len(manifest.Data))}, nil
}

func (m *memory) listTags(repo, last string, n int, stale bool) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	tags := m.repo(repo).tags
	if stale {
		tags = m.repo(repo).previous
	}
	var after []string
	for tag := range tags {
		if tag > last {
			after = append(after, tag)
		}
	}
	slices.Sort(after)
	return after[:max(0, min(n, len(after)))]
}

func (m *memory) referrers(repo string, subject digest.Digest, artifactType string) []ocispec.Descriptor {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []ocispec.Descriptor
	for d, manifest := range m.repo(repo).manifests {
		c, err := manifest.Content()
		if err != nil || c.Subject == nil || c.Subject.Digest != subject || (artifactType != "" && c.ArtifactType != artifactType) {
			continue
		}
		found = append(found, ocispec.Descriptor{
			MediaType: manifest.MediaType, Digest: d, Size: int64(len(manifest.Data)),
			ArtifactType: c.ArtifactType, Annotations: maps.Clone(c.Annotations),
		})
	}
	slices.SortFunc(found, func(a, b ocispec.Descriptor) int { return strings.Compare(a.Digest.String(), b.Digest.String()) })
	return found
}

func (m *memory) remove(repo string, d digest.Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.repo(repo)
	if _, ok := r.manifests[d]; !ok {
		return fmt.Errorf("%s: %s: %w", repo, d, registry.ErrNotFound)
	}
	delete(r.manifests, d)
	for tag, named := range r.tags {
		if named == d {
			r.remember(tag)
			delete(r.tags, tag)
		}
	}
	return nil
}
