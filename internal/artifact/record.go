package artifact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/intent"
)

// RecordFormat is the format version that this code writes and reads.
const RecordFormat = 1

// MaxRecordBytes bounds a commit record. The largest that the ledger writes has
// two thousand changes (all resources of a full catalog replaced by others),
// each with an actor and a reason whose every byte is escaped: 16 MB.
const MaxRecordBytes = 32 << 20

// ScopeSystem is the scope of the system catalog's records. A namespace's is
// ScopeNamespace(name).
const ScopeSystem = "system"

// ScopeNamespace is the scope of a namespace's commit records.
func ScopeNamespace(namespace string) string { return "namespaces/" + namespace }

// Record is the commit record: the config blob of a revision. Records form a
// hash chain through Parent.
type Record struct {
	Format     int            `json:"formatVersion"`
	Scope      string         `json:"scope"`            // what the chain is of
	Number     int64          `json:"number"`           // from 1, gapless
	Parent     digest.Digest  `json:"parent,omitempty"` // manifest of number-1; empty for the first
	Time       string         `json:"time"`             // RFC 3339 in UTC with microseconds; strictly increasing along the chain
	Writer     string         `json:"writer"`           // id of the writer claim
	Changes    []RecordChange `json:"changes"`          // sorted by name
	Checkpoint *CheckpointRef `json:"checkpoint"`       // the chain's last one; null if there is none
}

// RecordChange is what a revision did to one resource (in the system catalog:
// to one namespace).
type RecordChange struct {
	Operation string      `json:"operation"`
	Name      string      `json:"name"`
	Before    *VersionRef `json:"before,omitempty"` // absent when it did not exist
	After     *VersionRef `json:"after,omitempty"`  // of a delete: the tombstone
	Actor     string      `json:"actor,omitempty"`
	Verified  bool        `json:"verified,omitempty"` // the actor is proven, not only the caller's word
	Reason    string      `json:"reason,omitempty"`
}

// VersionRef names one version of a resource.
type VersionRef struct {
	Version string        `json:"version"`
	Digest  digest.Digest `json:"digest"` // of the artifact's manifest
}

// Stamp is the record's time as a point in the ledger's time.
func (r Record) Stamp() (intent.Version, error) {
	t, err := intent.ParseTime(r.Time)
	if err != nil {
		return 0, fmt.Errorf("commit record %d: %w", r.Number, err)
	}
	return intent.Version(t.UnixMicro()), nil
}

// Encode returns the record's canonical bytes. It fails for a record that
// ParseRecord would refuse.
func (r Record) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("commit record %d: %w", r.Number, err)
	}
	if len(data) > MaxRecordBytes {
		return nil, fmt.Errorf("commit record %d has %d bytes, at most %d are allowed", r.Number, len(data), MaxRecordBytes)
	}
	return data, nil
}

// ParseRecord reads what Encode wrote. Unknown fields, another format version
// and bytes other than the canonical ones are errors.
func ParseRecord(data []byte) (Record, error) {
	if len(data) > MaxRecordBytes {
		return Record{}, fmt.Errorf("commit record has %d bytes, at most %d are allowed", len(data), MaxRecordBytes)
	}
	var format struct {
		Format int `json:"formatVersion"`
	}
	if err := json.Unmarshal(data, &format); err != nil {
		return Record{}, fmt.Errorf("commit record: %w", err)
	}
	if format.Format != RecordFormat {
		return Record{}, fmt.Errorf("commit record: format version %d, want %d", format.Format, RecordFormat)
	}
	var r Record
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Record{}, fmt.Errorf("commit record: %w", err)
	}
	again, err := r.Encode()
	if err != nil {
		return Record{}, err
	}
	if !bytes.Equal(again, data) {
		return Record{}, fmt.Errorf("commit record %d: %w", r.Number, intent.ErrNotCanonical)
	}
	return r, nil
}

func (r Record) check() error {
	if r.Format != RecordFormat || r.Scope == "" || r.Number < 1 || r.Writer == "" || r.Changes == nil {
		return fmt.Errorf("commit record %d: format version, scope, number, writer and changes are required", r.Number)
	}
	if r.Parent != "" {
		if err := r.Parent.Validate(); err != nil {
			return fmt.Errorf("commit record %d: parent: %w", r.Number, err)
		}
	}
	if (r.Parent == "") && r.Number > 1 {
		return fmt.Errorf("commit record %d: only the first revision has no parent", r.Number)
	}
	if _, err := r.Stamp(); err != nil {
		return err
	}
	if !areUTF8(r.Scope, r.Writer) {
		return fmt.Errorf("commit record %d: scope and writer must be UTF-8", r.Number)
	}
	if c := r.Checkpoint; c != nil {
		// The head and its parent are never thinned.
		if c.Number < 1 || c.Number >= r.Number-1 {
			return fmt.Errorf("commit record %d: its checkpoint is of revision %d, which must be before its parent", r.Number, c.Number)
		}
		if err := c.Digest.Validate(); err != nil {
			return fmt.Errorf("commit record %d: checkpoint: %w", r.Number, err)
		}
	}
	for i, c := range r.Changes {
		if !areUTF8(c.Operation, c.Name, c.Actor, c.Reason) {
			return fmt.Errorf("commit record %d: change of %q: its text must be UTF-8", r.Number, c.Name)
		}
		if c.Operation == "" || c.Name == "" {
			return fmt.Errorf("commit record %d: change %d: operation and name are required", r.Number, i)
		}
		if c.Verified && c.Actor == "" {
			return fmt.Errorf("commit record %d: change of %s: its actor is verified, but not there", r.Number, c.Name)
		}
		if i > 0 && c.Name <= r.Changes[i-1].Name {
			return fmt.Errorf("commit record %d: change %d: names must increase", r.Number, i)
		}
		for _, ref := range []*VersionRef{c.Before, c.After} {
			if ref == nil {
				continue
			}
			if !areUTF8(ref.Version) {
				return fmt.Errorf("commit record %d: change of %s: its versions must be UTF-8", r.Number, c.Name)
			}
			if err := ref.Digest.Validate(); err != nil {
				return fmt.Errorf("commit record %d: change of %s: %w", r.Number, c.Name, err)
			}
		}
	}
	return nil
}

// areUTF8 tells what encoding/json writes as it is from what it would replace
// without a word.
func areUTF8(texts ...string) bool {
	return !slices.ContainsFunc(texts, func(s string) bool { return !utf8.ValidString(s) })
}
