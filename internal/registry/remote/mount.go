package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"gitops-squared.io/gsq/internal/registry"

	orasremote "oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// mountPause is how long no mount is tried after one that did not go well.
const mountPause = time.Minute

// mounts knows from where the empty blob can be mounted. It is a hint only:
// whoever relies on it asks the registry each time.
type mounts struct {
	mu     sync.Mutex
	source string // a repository that was given the blob; empty while there is none
	resume time.Time
}

// from returns a repository that may have the blob; false while no mount
// should be tried.
func (m *mounts) from() (string, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.source, !time.Now().Before(m.resume)
}

// given notes that a repository was given the blob.
func (m *mounts) given(repository string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.source = repository
}

// suspend ends mounting for a while.
func (m *mounts) suspend() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resume = time.Now().Add(mountPause)
}

// putEmpty puts the empty blob, which every resource's manifest has as its
// config (OCI image specification 1.1, "Guidance for an Empty Descriptor"). It
// asks the registry to mount it from a repository that was given it before: one
// request instead of two, and on CNCF Distribution 2 synced writes instead of
// 10. A registry that cannot do that opens an upload instead (OCI distribution
// specification 1.1, "Mounting a blob from another repository"), so that asking
// costs nothing. One that answers anything else is given the blob by an upload,
// and is not asked again for a while.
func (r *Registry) putEmpty(ctx context.Context, name string, b registry.Blob) (mounted bool, err error) {
	source, ok := r.mounts.from()
	if !ok {
		return false, r.upload(ctx, name, b)
	}
	scoped, repo, err := r.repository(ctx, name, call{})
	if err != nil {
		return false, err
	}
	if source == "" || r.hasTokens(scoped, repo) {
		source = name // it may have it from an earlier version
	}
	mounted = true
	err = repo.Mount(scoped, b.Descriptor(), source, func() (io.ReadCloser, error) {
		mounted = false // it opened an upload
		return io.NopCloser(bytes.NewReader(b.Data)), nil
	})
	if err == nil {
		if !mounted || source == name {
			r.mounts.given(name)
		}
		return mounted, nil
	}
	var refusal *answer
	if mounted && ctx.Err() == nil {
		r.mounts.suspend()
		if errors.As(err, &refusal) && refusal.status != http.StatusTooManyRequests {
			return false, r.upload(ctx, name, b)
		}
	}
	return false, fmt.Errorf("put blob %s: %w", b.Digest, explain(err, registry.ErrUnavailable))
}

// hasTokens reports whether the registry wants bearer tokens. Each is for
// certain repositories, so that one for two of them would have to be fetched
// for every mount.
func (r *Registry) hasTokens(ctx context.Context, repo *orasremote.Repository) bool {
	scheme, err := r.client.auth.Cache.GetScheme(ctx, repo.Reference.Host())
	return err == nil && scheme == auth.SchemeBearer
}
