package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// System is the content of the system catalog.
type System struct {
	Format     int                        `json:"formatVersion"`
	Namespaces map[string]SystemNamespace `json:"namespaces"`
	Clusters   map[string]SystemCluster   `json:"clusters,omitempty"`
}

// States of a namespace. They are also the operations of the system catalog's
// commit records.
const (
	StateCreating = "creating"
	StateActive   = "active"
	StateDeleted  = "deleted"
)

// SystemNamespace is what the system catalog says of one namespace.
type SystemNamespace struct {
	State     string `json:"state"`     // StateCreating, StateActive or StateDeleted
	CreatedAt string `json:"createdAt"` // RFC 3339 in UTC with microseconds

	Retention Retention `json:"retention,omitzero"`
}

// OperationRetention is the operation of the system catalog's records that
// changes what a namespace keeps.
const OperationRetention = "retention"

// Retention says what a namespace's history keeps at least. The zero value
// keeps everything.
type Retention struct {
	Revisions         int64 `json:"revisions,omitempty"`         // the newest ones of the catalog, and the newest versions of each resource
	Seconds           int64 `json:"seconds,omitempty"`           // whatever is younger
	TombstonesSeconds int64 `json:"tombstonesSeconds,omitempty"` // of a deleted resource, its tombstone and its last versions
}

// Bounds of a Retention.
const (
	MaxRetentionRevisions = 1_000_000
	MaxRetentionSeconds   = 100 * 365 * 24 * 60 * 60
)

// Check reports what is wrong with it.
func (r Retention) Check() error {
	switch {
	case r == Retention{}:
		return nil
	case r.Revisions < 2 || r.Revisions > MaxRetentionRevisions:
		return fmt.Errorf("retention: %d revisions, it must be 2 to %d", r.Revisions, int64(MaxRetentionRevisions))
	case r.Seconds < 0 || r.Seconds > MaxRetentionSeconds || r.TombstonesSeconds < 0 || r.TombstonesSeconds > MaxRetentionSeconds:
		return errors.New("retention: a time is negative, or longer than a hundred years")
	}
	return nil
}

// SystemCluster is what the system catalog says of one cluster.
type SystemCluster struct {
	CreatedAt string `json:"createdAt"` // RFC 3339 in UTC with microseconds
}

// Encode returns the system catalog's layer. It fails for what ParseSystem
// refuses.
func (s System) Encode() (registry.Blob, error) {
	s.Format = RecordFormat
	if err := s.check(); err != nil {
		return registry.Blob{}, err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return registry.Blob{}, fmt.Errorf("system catalog: %w", err)
	}
	return registry.NewBlob(TypeSystem, data), nil
}

// ParseSystem reads what Encode wrote, and nothing else.
func ParseSystem(data []byte) (System, error) {
	var s System
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return System{}, fmt.Errorf("system catalog: %w", err)
	}
	if s.Format != RecordFormat {
		return System{}, fmt.Errorf("system catalog: format version %d, want %d", s.Format, RecordFormat)
	}
	again, err := s.Encode()
	if err != nil {
		return System{}, err
	}
	if !bytes.Equal(again.Data, data) {
		return System{}, fmt.Errorf("system catalog: %w", intent.ErrNotCanonical)
	}
	return s, nil
}

func (s System) check() error {
	if s.Namespaces == nil {
		return errors.New("system catalog: namespaces are required, even if there are none")
	}
	for name, ns := range s.Namespaces {
		if err := intent.ValidateNamespace(name); err != nil {
			return fmt.Errorf("system catalog: %w", err)
		}
		switch ns.State {
		case StateCreating, StateActive, StateDeleted:
		default:
			return fmt.Errorf("system catalog: namespace %s: unknown state %q", name, ns.State)
		}
		if _, err := intent.ParseTime(ns.CreatedAt); err != nil {
			return fmt.Errorf("system catalog: namespace %s: %w", name, err)
		}
		if err := ns.Retention.Check(); err != nil {
			return fmt.Errorf("system catalog: namespace %s: %w", name, err)
		}
	}
	if s.Clusters != nil && len(s.Clusters) == 0 {
		return fmt.Errorf("system catalog: %w", intent.ErrNotCanonical)
	}
	for name, c := range s.Clusters {
		if !intent.IsLabel(name) {
			return fmt.Errorf("system catalog: %q is not the name of a cluster", name)
		}
		if _, err := intent.ParseTime(c.CreatedAt); err != nil {
			return fmt.Errorf("system catalog: cluster %s: %w", name, err)
		}
	}
	return nil
}
