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
	}
	return nil
}
