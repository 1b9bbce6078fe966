package faulty

import (
	"slices"

	"github.com/opencontainers/go-digest"
)

// SetTag makes a tag name a digest, whether that manifest exists or not. It is
// no request: no fault, no log.
func (s *Store) SetTag(repo, tag string, d digest.Digest) { s.putTag(repo, tag, d) }

// RemoveTag takes a tag away; it is not an error if it is not there.
func (s *Store) RemoveTag(repo, tag string) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	r := s.repo(repo)
	r.remember(tag)
	delete(r.tags, tag)
}

// DropBlob loses a blob, of which the manifests stay.
func (s *Store) DropBlob(repo string, d digest.Digest) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	delete(s.repo(repo).blobs, d)
}

// ReplaceBlob stores other bytes under a digest.
func (s *Store) ReplaceBlob(repo string, d digest.Digest, data []byte) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.repo(repo).blobs[d] = slices.Clone(data)
}

// DropManifest loses a manifest, of which the tags stay.
func (s *Store) DropManifest(repo string, d digest.Digest) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	delete(s.repo(repo).manifests, d)
}
