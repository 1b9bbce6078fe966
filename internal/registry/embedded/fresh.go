package embedded

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// A client pushes blobs first, then the manifest that names them. So a
// collection must know which blobs came a moment ago, also from before a
// restart: each upload and each mount notes its time under a key. A Put needs
// none, as it brings the manifest along.

// noteUpload notes that a manifest may soon name a blob.
func (w *writer) noteUpload(d digest.Digest) error {
	if err := w.batch.Set(uploadKey(d), uploadValue(time.Now()), nil); err != nil {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	return nil
}

func uploadValue(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(max(t.Unix(), 0)))
}

func decodeUpload(value []byte) (time.Time, error) {
	if len(value) != 8 || value[0] > 0x7f {
		return time.Time{}, fmt.Errorf("%w: the time of an upload cannot be read", registry.ErrCorrupt)
	}
	return time.Unix(int64(binary.BigEndian.Uint64(value)), 0), nil
}

// isFresh reports whether a blob was uploaded, mounted or confirmed to a client
// less than grace ago.
func (s *Store) isFresh(d digest.Digest, grace time.Duration) (bool, error) {
	if grace <= 0 {
		return false, nil
	}
	if s.confirmed.since(d, grace) {
		return true, nil
	}
	value, err := get(s.db, uploadKey(d))
	if err != nil || value == nil {
		return false, err
	}
	t, err := decodeUpload(value)
	return time.Since(t) < grace, err
}

// confirmations remembers when clients were told that a blob is there, and so
// need not push it. That is lost with the process: then a manifest that relies
// on it may be refused, and the client pushes all. Blobs share places, so one
// may count as confirmed because another was; it stays longer for that.
type confirmations struct {
	begin  time.Time
	seed   maphash.Seed
	places [32 << 10]atomic.Int64 // nanoseconds since begin; 0 is never
}

func newConfirmations() *confirmations {
	return &confirmations{begin: time.Now(), seed: maphash.MakeSeed()}
}

func (c *confirmations) place(d digest.Digest) *atomic.Int64 {
	return &c.places[maphash.String(c.seed, string(d))%uint64(len(c.places))]
}

func (c *confirmations) note(d digest.Digest) {
	c.place(d).Store(max(int64(time.Since(c.begin)), 1))
}

// since reports whether a blob was confirmed less than grace ago.
func (c *confirmations) since(d digest.Digest, grace time.Duration) bool {
	noted := c.place(d).Load()
	return noted != 0 && time.Since(c.begin)-time.Duration(noted) < grace
}
