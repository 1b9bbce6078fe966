package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/intent"
)

// Description is the file backup.json of a folder or a tar: what was cut where.
// It is written last; without it, a backup is not complete.
type Description struct {
	Format     int    `json:"formatVersion"`
	Prefix     string `json:"prefix"` // of the repositories
	StartedAt  string `json:"startedAt"`
	FinishedAt string `json:"finishedAt"`
	At         string `json:"at,omitempty"` // the moment whose state it holds, if one was asked for

	System     DescribedCut            `json:"system"`
	Namespaces map[string]DescribedCut `json:"namespaces"`

	// Repositories has the digest of each repository's index.json, by the
	// repository's name.
	Repositories map[string]digest.Digest `json:"repositories"`

	Missing []Fault `json:"missing,omitempty"` // of a damaged source
}

// DescribedCut is where a chain was cut.
type DescribedCut struct {
	Number int64         `json:"number"`
	Digest digest.Digest `json:"digest"`
	Time   string        `json:"time"`
}

const (
	descriptionFile   = "backup.json"
	descriptionFormat = 1

	maxDescriptionBytes = 256 << 20
)

func describe(o Options, p *plan, c *copier, r Report) Description {
	d := Description{
		Format: descriptionFormat, Prefix: o.Prefix, StartedAt: intent.FormatTime(o.Now().Add(-r.Took)), FinishedAt: intent.FormatTime(o.Now()),
		Namespaces: map[string]DescribedCut{}, Repositories: map[string]digest.Digest{}, Missing: r.Faults,
	}
	if !o.At.IsZero() {
		d.At = intent.FormatTime(o.At)
	}
	for _, cut := range p.cuts {
		described := DescribedCut{cut.Number, cut.Digest, intent.FormatTime(cut.Time)}
		if cut.Namespace == "" {
			d.System = described
		} else {
			d.Namespaces[cut.Namespace] = described
		}
	}
	return d
}

// cut returns where a namespace's chain was cut, or with "" system's.
func (d *Description) cut(namespace string) (Cut, bool) {
	described, ok := d.System, true
	if namespace != "" {
		described, ok = d.Namespaces[namespace]
	}
	return Cut{Namespace: namespace, Number: described.Number, Digest: described.Digest}, ok
}

func (d Description) encode() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", descriptionFile, err)
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", descriptionFile, err)
	}
	return append(data, '\n'), nil
}

// parseDescription reads what encode wrote, and nothing else.
func parseDescription(data []byte) (*Description, error) {
	var d Description
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, descriptionFile, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %s: something follows its end", ErrDamaged, descriptionFile)
	}
	again, err := d.encode()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if !bytes.Equal(again, data) {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, descriptionFile, intent.ErrNotCanonical)
	}
	return &d, nil
}

func (d Description) check() error {
	if d.Format != descriptionFormat {
		return fmt.Errorf("format version %d, want %d", d.Format, descriptionFormat)
	}
	if !isRepository(d.Prefix) {
		return fmt.Errorf("%q is not a prefix of repositories", d.Prefix)
	}
	if d.Namespaces == nil || d.Repositories == nil {
		return errors.New("namespaces and repositories are required")
	}
	times := []string{d.StartedAt, d.FinishedAt}
	if d.At != "" {
		times = append(times, d.At)
	}
	cuts := append(slices.Collect(maps.Values(d.Namespaces)), d.System)
	for _, cut := range cuts {
		times = append(times, cut.Time)
		if err := cut.Digest.Validate(); err != nil || cut.Number < 1 {
			return fmt.Errorf("revision %d, digest %q: not a cut (%v)", cut.Number, cut.Digest, err)
		}
	}
	for _, t := range times {
		if _, err := intent.ParseTime(t); err != nil {
			return err
		}
	}
	for name, index := range d.Repositories {
		if !isRepository(name) {
			return fmt.Errorf("%q is not the name of a repository", name)
		}
		if err := index.Validate(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name := range d.Namespaces {
		if !intent.IsLabel(name) {
			return fmt.Errorf("%q is not the name of a namespace", name)
		}
	}
	return nil
}
