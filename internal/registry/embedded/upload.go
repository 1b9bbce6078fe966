package embedded

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// uploads holds the upload sessions. They live in memory: after a restart a
// client begins again.
type uploads struct {
	mu     sync.Mutex
	open   map[string]*upload
	closed bool
}

// upload is a session: a blob on its way into a repository. Its fields are
// used only by who holds it.
type upload struct {
	id    string
	repo  string
	spool *spool
	ended bool

	held   sync.Mutex
	expiry *time.Timer
}

var (
	errTooManyUploads = errors.New("too many uploads at a time; finish or cancel one, or try again later")
	errNoUpload       = errors.New("there is no such upload; it may have ended or expired")
	errUploadBusy     = errors.New("another request is using this upload")
)

// beginUpload opens a session and holds it.
func (s *Store) beginUpload(repo string, algorithm digest.Algorithm) (*upload, error) {
	u := &upload{id: newUploadID(), repo: repo, spool: s.newSpool(algorithm)}
	u.held.Lock()
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	if s.uploads.closed {
		return nil, fmt.Errorf("%w: the embedded registry is closed", registry.ErrUnreachable)
	}
	if len(s.uploads.open) >= s.options.MaxUploads {
		return nil, errTooManyUploads
	}
	s.uploads.open[u.id] = u
	u.expiry = time.AfterFunc(s.options.UploadIdle, func() { s.expire(u) })
	return u, nil
}

// holdUpload finds a session of a repository and holds it: errNoUpload, or
// errUploadBusy if somebody else holds it.
func (s *Store) holdUpload(repo, id string) (*upload, error) {
	s.uploads.mu.Lock()
	u := s.uploads.open[id]
	s.uploads.mu.Unlock()
	if u == nil || u.repo != repo {
		return nil, errNoUpload
	}
	if !u.held.TryLock() {
		return nil, errUploadBusy
	}
	if u.ended {
		u.held.Unlock()
		return nil, errNoUpload
	}
	u.expiry.Stop()
	return u, nil
}

// release lets a held session go on.
func (s *Store) release(u *upload) {
	if !u.ended {
		u.expiry.Reset(s.options.UploadIdle)
	}
	u.held.Unlock()
}

// end ends a held session and discards what it received. The caller still has
// to release it.
func (s *Store) end(u *upload) {
	if u.ended {
		return
	}
	u.ended = true
	u.expiry.Stop()
	s.uploads.mu.Lock()
	delete(s.uploads.open, u.id)
	s.uploads.mu.Unlock()
	u.spool.discard()
}

// expire ends a session that nobody used for a while. One that is in use now
// gets a new time when it is released.
func (s *Store) expire(u *upload) {
	if u.held.TryLock() {
		defer u.held.Unlock()
		s.end(u)
	}
}

// endUploads ends all sessions and refuses new ones. Sessions in use end with
// their requests, which can store nothing any more.
func (s *Store) endUploads() {
	s.uploads.mu.Lock()
	s.uploads.closed = true
	var open []*upload
	for _, u := range s.uploads.open {
		open = append(open, u)
	}
	s.uploads.mu.Unlock()
	for _, u := range open {
		s.expire(u)
	}
}

// newUploadID returns a random UUID (RFC 9562, version 4): who does not know
// it cannot reach the session.
func newUploadID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
