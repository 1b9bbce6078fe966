package backup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// files is a tree of OCI image layouts (OCI image specification 1.1, "Image
// Layout Specification"), one a repository, in a folder of the repository's
// name.
type files interface {
	// read returns a regular file of at most limit bytes: fs.ErrNotExist if it
	// is not there, registry.ErrTooLarge if it is larger.
	read(name string, limit int64) ([]byte, error)

	// layouts returns the names of all layouts that end with suffix.
	layouts(suffix string) ([]string, error)

	io.Closer
}

const (
	indexFile  = "index.json"
	layoutFile = ocispec.ImageLayoutFile

	maxIndexBytes = 256 << 20
)

// layoutMark is the content of the file oci-layout.
const layoutMark = `{"imageLayoutVersion":"1.0.0"}`

// repositoryName is that of the OCI distribution specification 1.1, "Pulling
// manifests". It has no way out of a folder.
var repositoryName = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

func isRepository(name string) bool { return len(name) <= 255 && repositoryName.MatchString(name) }

// layouts is a Source made of layouts.
type layouts struct {
	files  files
	prefix string                   // put before the names that it is asked for
	want   map[string]digest.Digest // of the index of each repository; nil: not known

	mu     sync.Mutex
	opened map[string]*layout
}

func newLayouts(f files, prefix string, want map[string]digest.Digest) *layouts {
	return &layouts{files: f, prefix: prefix, want: want, opened: map[string]*layout{}}
}

// layout is one repository.
type layout struct {
	files   files
	name    string
	load    sync.Once
	failed  error
	digest  digest.Digest // of its index; empty if there is none
	tags    map[string]ocispec.Descriptor
	entries map[digest.Digest]ocispec.Descriptor

	refer     sync.Once
	referrers map[digest.Digest][]ocispec.Descriptor
	refused   error
}

func (l *layouts) repository(name string) (*layout, error) {
	name = l.prefix + name
	if !isRepository(name) {
		return nil, fmt.Errorf("%q: %w: not the name of a repository", name, registry.ErrRefused)
	}
	l.mu.Lock()
	r := l.opened[name]
	if r == nil {
		r = &layout{files: l.files, name: name}
		l.opened[name] = r
	}
	l.mu.Unlock()
	r.load.Do(func() { r.failed = r.open(l.want) })
	return r, r.failed
}

// open reads the index. A repository that is not there has nothing.
func (l *layout) open(want map[string]digest.Digest) error {
	expected, known := want[l.name]
	mark, err := l.files.read(l.name+"/"+layoutFile, 4096)
	if errors.Is(err, fs.ErrNotExist) && !known {
		return nil
	}
	var version ocispec.ImageLayout
	if err == nil {
		err = json.Unmarshal(mark, &version)
	}
	if err == nil && version.Version != ocispec.ImageLayoutVersion {
		err = fmt.Errorf("layout version %q, want %s", version.Version, ocispec.ImageLayoutVersion)
	}
	var data []byte
	if err == nil {
		data, err = l.files.read(l.name+"/"+indexFile, maxIndexBytes)
	}
	if err != nil {
		return fmt.Errorf("%w: the layout of %s: %w", registry.ErrCorrupt, l.name, err)
	}
	l.digest = digest.FromBytes(data)
	if want != nil && expected != l.digest {
		return fmt.Errorf("%w: %s/%s is not the one that the backup was finished with", registry.ErrCorrupt, l.name, indexFile)
	}
	if l.tags, l.entries, err = parseIndex(data); err != nil {
		return fmt.Errorf("%w: %s/%s: %w", registry.ErrCorrupt, l.name, indexFile, err)
	}
	return nil
}

// parseIndex reads the index of a layout.
func parseIndex(data []byte) (map[string]ocispec.Descriptor, map[digest.Digest]ocispec.Descriptor, error) {
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, nil, err
	}
	if index.SchemaVersion != 2 {
		return nil, nil, fmt.Errorf("schemaVersion %d, want 2", index.SchemaVersion)
	}
	tags, entries := map[string]ocispec.Descriptor{}, map[digest.Digest]ocispec.Descriptor{}
	for i, d := range index.Manifests {
		if err := d.Digest.Validate(); err != nil || d.Size < 0 {
			return nil, nil, fmt.Errorf("entry %d: digest %q, size %d (%v)", i, d.Digest, d.Size, err)
		}
		tag := d.Annotations[ocispec.AnnotationRefName]
		d = ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
		if tag != "" {
			if other, ok := tags[tag]; ok && other.Digest != d.Digest {
				return nil, nil, fmt.Errorf("it has two entries named %s", tag)
			}
			tags[tag] = d
		}
		if other, ok := entries[d.Digest]; ok && (other.Size != d.Size || other.MediaType != d.MediaType) {
			return nil, nil, fmt.Errorf("it has two different entries of %s", d.Digest)
		}
		entries[d.Digest] = d
	}
	return tags, entries, nil
}

// encodeIndex is the inverse of parseIndex: tags first, in order.
func encodeIndex(c contents) ([]byte, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	for _, tag := range slices.Sorted(maps.Keys(c.tags)) {
		d := c.tags[tag]
		d.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
		index.Manifests = append(index.Manifests, d)
	}
	index.Manifests = append(index.Manifests, c.untagged...)
	return json.Marshal(index)
}

func (l *layout) path(d digest.Digest) string {
	return l.name + "/" + blobPath(d)
}

// blobPath is where a layout has a blob, whose digest is valid.
func blobPath(d digest.Digest) string {
	return "blobs/" + d.Algorithm().String() + "/" + d.Encoded()
}

// Manifest implements Source.
func (l *layouts) Manifest(_ context.Context, repo, reference string) (registry.Manifest, error) {
	r, err := l.repository(repo)
	if err != nil {
		return registry.Manifest{}, err
	}
	if d := digest.Digest(reference); d.Validate() == nil {
		return r.byDigest(d)
	}
	d, ok := r.tags[reference]
	if !ok {
		return registry.Manifest{}, fmt.Errorf("%s:%s: %w", r.name, reference, registry.ErrNotFound)
	}
	m, err := r.manifest(d)
	if errors.Is(err, registry.ErrNotFound) {
		err = fmt.Errorf("%w: %s:%s names %s, which is missing", registry.ErrCorrupt, r.name, reference, d.Digest)
	}
	return m, err
}

// byDigest returns a manifest that the index lists, or that an index names.
func (l *layout) byDigest(d digest.Digest) (registry.Manifest, error) {
	if entry, ok := l.entries[d]; ok {
		return l.manifest(entry)
	}
	data, err := l.blob(d, registry.MaxManifestBytes)
	if err != nil {
		return registry.Manifest{}, err
	}
	var declared struct {
		MediaType string `json:"mediaType"`
	}
	if err := json.Unmarshal(data, &declared); err != nil || declared.MediaType == "" {
		return registry.Manifest{}, fmt.Errorf("%w: %s of %s is not a manifest (%v)", registry.ErrCorrupt, d, l.name, err)
	}
	return registry.Manifest{MediaType: declared.MediaType, Digest: d, Data: data}, nil
}

func (l *layout) manifest(d ocispec.Descriptor) (registry.Manifest, error) {
	data, err := l.blob(d.Digest, registry.MaxManifestBytes)
	if err != nil {
		return registry.Manifest{}, err
	}
	if int64(len(data)) != d.Size {
		return registry.Manifest{}, fmt.Errorf("%w: %s of %s has %d bytes, the index says %d", registry.ErrCorrupt, d.Digest, l.name, len(data), d.Size)
	}
	m := registry.Manifest{MediaType: d.MediaType, Digest: d.Digest, Data: data}
	if _, err := m.Content(); err != nil {
		return registry.Manifest{}, fmt.Errorf("%w: %s: %w", registry.ErrCorrupt, l.name, err)
	}
	return m, nil
}

// blob reads and verifies bytes.
func (l *layout) blob(d digest.Digest, limit int64) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: digest %q: %w", registry.ErrCorrupt, l.name, d, err)
	}
	data, err := l.files.read(l.path(d), limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %s: %w", l.name, d, registry.ErrNotFound)
	}
	if err == nil {
		err = registry.Verify(d, data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", l.name, d, err)
	}
	return data, nil
}

// Blob implements Source.
func (l *layouts) Blob(_ context.Context, repo string, d ocispec.Descriptor) (registry.Blob, error) {
	r, err := l.repository(repo)
	if err != nil {
		return registry.Blob{}, err
	}
	data, err := r.blob(d.Digest, min(max(d.Size, 1), registry.MaxBlobBytes))
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return registry.Blob{}, fmt.Errorf("%w: blob %s of %s is missing", registry.ErrCorrupt, d.Digest, r.name)
	case err != nil:
		return registry.Blob{}, err
	case int64(len(data)) != d.Size:
		return registry.Blob{}, fmt.Errorf("%w: blob %s of %s has %d bytes, its manifest says %d", registry.ErrCorrupt, d.Digest, r.name, len(data), d.Size)
	}
	return registry.Blob{MediaType: d.MediaType, Digest: d.Digest, Data: data}, nil
}

// Tags implements Source.
func (l *layouts) Tags(_ context.Context, repo, last string, n int) ([]string, error) {
	r, err := l.repository(repo)
	if err != nil {
		return nil, err
	}
	tags := slices.DeleteFunc(slices.Sorted(maps.Keys(r.tags)), func(tag string) bool { return tag <= last })
	return tags[:min(n, len(tags))], nil
}

// Referrers implements Source.
func (l *layouts) Referrers(_ context.Context, repo string, subject digest.Digest, artifactType string) ([]ocispec.Descriptor, error) {
	r, err := l.repository(repo)
	if err != nil {
		return nil, err
	}
	r.refer.Do(func() { r.refused = r.findReferrers() })
	var found []ocispec.Descriptor
	for _, d := range r.referrers[subject] {
		if artifactType == "" || d.ArtifactType == artifactType {
			found = append(found, d)
		}
	}
	return found, r.refused
}

// ownTag matches the tags of artifacts that refer to nothing.
var ownTag = regexp.MustCompile(`^(latest|[vrcd][0-9]+)$`)

// findReferrers reads those manifests that may refer to others.
func (l *layout) findReferrers() error {
	l.referrers = map[digest.Digest][]ocispec.Descriptor{}
	own := map[digest.Digest]bool{}
	for tag, d := range l.tags {
		if ownTag.MatchString(tag) {
			own[d.Digest] = true
		}
	}
	entries := slices.SortedFunc(maps.Values(l.entries), func(a, b ocispec.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	for _, d := range entries {
		if own[d.Digest] {
			continue
		}
		m, err := l.manifest(d)
		if err != nil {
			return fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
		}
		content, err := m.Content()
		if err != nil {
			return fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
		}
		if content.Subject != nil {
			d.ArtifactType, d.Annotations = content.ArtifactType, content.Annotations
			l.referrers[content.Subject.Digest] = append(l.referrers[content.Subject.Digest], d)
		}
	}
	return nil
}
