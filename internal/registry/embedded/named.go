package embedded

import (
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// maxMissing bounds what a MissingError lists.
const maxMissing = 100

// MissingError lists what a manifest names and its repository does not have,
// or the first hundred of that. It is an ErrRefused.
type MissingError struct {
	Repository string
	Digests    []digest.Digest
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("the manifest names content that is not in repository %s: %v; push it first", e.Repository, e.Digests)
}

// Is makes a MissingError an ErrRefused.
func (e *MissingError) Is(target error) bool { return target == registry.ErrRefused }

func (w *writer) addManifest(repo string, m registry.Manifest, c content) error {
	if err := w.checkNamed(repo, c); err != nil {
		return err
	}
	err := w.batch.Set(manifestKey(repo, m.Digest), manifestValue(m.MediaType, m.Data), nil)
	if err == nil && c.subject != nil {
		var value []byte
		if value, err = json.Marshal(c.referrer(m.Digest, len(m.Data))); err == nil {
			err = w.batch.Set(referrerKey(repo, c.subject.Digest, m.Digest), value, nil)
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	w.made[link{repo, m.Digest}] = true
	return nil
}

// checkNamed checks that the repository has everything that the manifest
// names, in the size that it says. Its subject need not be there.
func (w *writer) checkNamed(repo string, c content) error {
	var missing []digest.Digest
	blob := func(d descriptor) error {
		size, there, err := w.link(repo, d.Digest)
		switch {
		case err != nil:
			return err
		case !there && !isForeign(d.MediaType):
			missing = append(missing, d.Digest)
		case there && size != d.Size:
			return fmt.Errorf("%w: the manifest says that blob %s has %d bytes, it has %d", registry.ErrRefused, d.Digest, d.Size, size)
		}
		return nil
	}
	for _, d := range c.blobs {
		if err := blob(d); err != nil {
			return err
		}
	}
	for _, d := range c.manifests {
		if !isManifest(d.MediaType) {
			if err := blob(d); err != nil {
				return err
			}
			continue
		}
		there := w.made[link{repo, d.Digest}]
		if !there {
			var err error
			if there, err = has(w.s.db, manifestKey(repo, d.Digest)); err != nil {
				return err
			}
		}
		if !there {
			missing = append(missing, d.Digest)
		}
	}
	if len(missing) > 0 {
		return &MissingError{Repository: repo, Digests: missing[:min(len(missing), maxMissing)]}
	}
	return nil
}
