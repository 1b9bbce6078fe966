package artifact

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// MaxCheckpointBytes bounds manifests and records of one checkpoint, and
// MaxCheckpointRevisions their number. A history that has more gets several.
const (
	MaxCheckpointBytes     = 48 << 20
	MaxCheckpointRevisions = 10_000
)

const titleCheckpoint = "revisions.tar.gz"

// CheckpointRef names a checkpoint: that of all revisions up to a number.
type CheckpointRef struct {
	Number int64         `json:"number"` // the last revision that it holds
	Digest digest.Digest `json:"digest"` // of the checkpoint's manifest
}

// Checkpoint is the config of a checkpoint, which keeps manifests and records
// of the revisions First to Last of a chain, so that their layers can go while
// the history still can be verified.
type Checkpoint struct {
	Format   int            `json:"formatVersion"`
	Scope    string         `json:"scope"`    // that of the records
	First    int64          `json:"first"`    // Previous.Number + 1, or 1
	Last     int64          `json:"last"`     // the checkpoint's number
	Head     digest.Digest  `json:"head"`     // manifest of revision Last
	Previous *CheckpointRef `json:"previous"` // that of the revisions before First; null if there are none
}

// Thinned is what a checkpoint keeps of a revision.
type Thinned struct {
	Manifest registry.Manifest
	Record   Record
}

// NewThinned reads manifest and commit record of a revision. It fails unless
// the manifest is the one that Pack makes of this record and some layer.
func NewThinned(m registry.Manifest, record []byte) (Thinned, error) {
	r, err := ParseRecord(record)
	if err != nil {
		return Thinned{}, fmt.Errorf("manifest %s: %w", m.Digest, err)
	}
	content, err := m.Content()
	if err != nil {
		return Thinned{}, err
	}
	if len(content.Blobs) != 2 {
		return Thinned{}, fmt.Errorf("manifest %s: want a config and one layer", m.Digest)
	}
	config, layer := content.Blobs[0], content.Blobs[1]
	again := registry.NewManifest(ocispec.MediaTypeImageManifest, encode(revisionManifest(r, registry.NewBlob(config.MediaType, record).Descriptor(), layer)))
	if m.MediaType != again.MediaType || m.Digest != again.Digest || !bytes.Equal(m.Data, again.Data) {
		return Thinned{}, fmt.Errorf("manifest %s: not the one that its record and layer give (%s)", m.Digest, again.Digest)
	}
	return Thinned{Manifest: m, Record: r}, nil
}

// PackCheckpoint returns the artifact that keeps these revisions, which must
// follow each other, the first of them on previous (nil if it is revision 1).
func PackCheckpoint(previous *CheckpointRef, revisions []Thinned) (registry.Artifact, error) {
	if len(revisions) == 0 {
		return registry.Artifact{}, errors.New("checkpoint: no revisions")
	}
	last := revisions[len(revisions)-1]
	c := Checkpoint{
		Format: RecordFormat, Scope: last.Record.Scope, First: revisions[0].Record.Number, Last: last.Record.Number,
		Head: last.Manifest.Digest, Previous: previous,
	}
	if err := c.check(revisions); err != nil {
		return registry.Artifact{}, err
	}
	layer, err := packThinned(revisions)
	if err != nil {
		return registry.Artifact{}, fmt.Errorf("checkpoint %d: %w", c.Last, err)
	}
	config := registry.NewBlob(TypeCheckpoint, canonical(c))
	return pack(ocispec.Manifest{
		ArtifactType: TypeCheckpoint,
		Config:       config.Descriptor(),
		Layers:       []ocispec.Descriptor{titled(layer, titleCheckpoint)},
	}, config, layer), nil
}

// UnpackCheckpoint reads what PackCheckpoint wrote: every revision is verified,
// and that they follow each other. Only the compression may be another one.
func UnpackCheckpoint(a registry.Artifact) (Checkpoint, []Thinned, error) {
	fail := func(err error) (Checkpoint, []Thinned, error) {
		return Checkpoint{}, nil, fmt.Errorf("manifest %s: checkpoint: %w", a.Manifest.Digest, err)
	}
	if len(a.Blobs) != 2 || a.Blobs[0].MediaType != TypeCheckpoint || a.Blobs[1].MediaType != TypeCheckpointContent {
		return fail(fmt.Errorf("want a config %s and one layer %s", TypeCheckpoint, TypeCheckpointContent))
	}
	var c Checkpoint
	if err := parseCanonical(a.Blobs[0].Data, &c); err != nil {
		return fail(err)
	}
	revisions, err := unpackThinned(a.Blobs[1].Data)
	if err != nil {
		return fail(err)
	}
	if err := c.check(revisions); err != nil {
		return fail(err)
	}
	return c, revisions, nil
}

// ParseCheckpoint reads a checkpoint's config alone: what it says that it
// holds. Only UnpackCheckpoint looks whether it does.
func ParseCheckpoint(config registry.Blob) (Checkpoint, error) {
	if config.MediaType != TypeCheckpoint {
		return Checkpoint{}, fmt.Errorf("checkpoint: a config %s, want %s", config.MediaType, TypeCheckpoint)
	}
	var c Checkpoint
	if err := parseCanonical(config.Data, &c); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	before := int64(0)
	if c.Previous != nil {
		before = c.Previous.Number
	}
	if c.Format != RecordFormat || before < 0 || c.First != before+1 || c.Last < c.First {
		return Checkpoint{}, fmt.Errorf("checkpoint %d: format version %d, revisions from %d on after %d", c.Last, c.Format, c.First, before)
	}
	return c, nil
}

func (c Checkpoint) check(revisions []Thinned) error {
	want := int64(1)
	if c.Previous != nil {
		want = c.Previous.Number + 1
		if err := c.Previous.Digest.Validate(); err != nil || c.Previous.Number < 1 {
			return fmt.Errorf("checkpoint %d: its previous one is not named well (%v)", c.Last, err)
		}
	}
	switch {
	case c.Format != RecordFormat:
		return fmt.Errorf("checkpoint: format version %d, want %d", c.Format, RecordFormat)
	case len(revisions) == 0 || len(revisions) > MaxCheckpointRevisions:
		return fmt.Errorf("checkpoint %d: %d revisions, it must be 1 to %d", c.Last, len(revisions), MaxCheckpointRevisions)
	case c.First != want || c.Last != want+int64(len(revisions))-1:
		return fmt.Errorf("checkpoint %d: it has %d revisions from %d, they must begin with %d and end with its number", c.Last, len(revisions), c.First, want)
	case c.Head != revisions[len(revisions)-1].Manifest.Digest:
		return fmt.Errorf("checkpoint %d: its head is not the last of its revisions", c.Last)
	}
	size := 0
	for i, r := range revisions {
		switch {
		case r.Record.Scope != c.Scope:
			return fmt.Errorf("checkpoint %d: revision %d is of %s, not of %s", c.Last, r.Record.Number, r.Record.Scope, c.Scope)
		case r.Record.Number != c.First+int64(i):
			return fmt.Errorf("checkpoint %d: revision %d stands where %d should", c.Last, r.Record.Number, c.First+int64(i))
		case i > 0 && r.Record.Parent != revisions[i-1].Manifest.Digest:
			return fmt.Errorf("checkpoint %d: revision %d is not the child of the one before it", c.Last, r.Record.Number)
		}
		size += r.bytes()
	}
	if size > MaxCheckpointBytes && len(revisions) > 1 {
		return fmt.Errorf("checkpoint %d: %d bytes, at most %d are allowed", c.Last, size, MaxCheckpointBytes)
	}
	return nil
}

// bytes is what the revision takes of a checkpoint's bound: about as much as
// its files.
func (t Thinned) bytes() int { return len(t.Manifest.Data) + len(canonical(t.Record)) }

// Fits returns how many of the revisions, which follow each other, fit into one
// checkpoint.
func Fits(revisions []Thinned) int {
	size := 0
	for i, r := range revisions {
		if size += r.bytes(); i > 0 && (size > MaxCheckpointBytes || i == MaxCheckpointRevisions) {
			return i
		}
	}
	return len(revisions)
}

// The files of a revision in the checkpoint's archive.
const (
	thinnedManifest = "/manifest.json"
	thinnedRecord   = "/record.json"
)

func packThinned(revisions []Thinned) (registry.Blob, error) {
	var out bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return registry.Blob{}, err
	}
	archive := tar.NewWriter(compressed)
	add := func(name string, data []byte) {
		if err == nil {
			err = archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data)), Format: tar.FormatUSTAR})
		}
		if err == nil {
			_, err = archive.Write(data)
		}
	}
	for _, r := range revisions {
		folder := RevisionTag(r.Record.Number)
		add(folder+thinnedManifest, r.Manifest.Data)
		add(folder+thinnedRecord, canonical(r.Record))
	}
	if err = errors.Join(err, archive.Close(), compressed.Close()); err != nil {
		return registry.Blob{}, err
	}
	return registry.NewBlob(TypeCheckpointContent, out.Bytes()), nil
}

func unpackThinned(data []byte) ([]Thinned, error) {
	compressed, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	// A record may be larger than all that several share, and tar pads.
	bound := &io.LimitedReader{R: compressed, N: MaxCheckpointBytes + MaxRecordBytes + 4*512*MaxCheckpointRevisions}
	archive := tar.NewReader(bound)
	file := func(suffix string) (string, []byte, error) {
		h, err := archive.Next()
		if err != nil {
			return "", nil, err
		}
		folder, ok := strings.CutSuffix(h.Name, suffix)
		if !ok || h.Typeflag != tar.TypeReg || h.Size > MaxRecordBytes {
			return "", nil, fmt.Errorf("unexpected file %q, want one named …%s", h.Name, suffix)
		}
		data, err := io.ReadAll(archive)
		return folder, data, err
	}
	var revisions []Thinned
	for {
		folder, manifest, err := file(thinnedManifest)
		if errors.Is(err, io.EOF) && bound.N > 0 {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(revisions) == MaxCheckpointRevisions {
			return nil, fmt.Errorf("more than %d revisions", MaxCheckpointRevisions)
		}
		other, record, err := file(thinnedRecord)
		if err != nil {
			return nil, fmt.Errorf("the record of %s: %w", folder, err)
		}
		r, err := NewThinned(registry.NewManifest(ocispec.MediaTypeImageManifest, manifest), record)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", folder, err)
		}
		if folder != RevisionTag(r.Record.Number) || other != folder {
			return nil, fmt.Errorf("revision %d lies in the folders %q and %q", r.Record.Number, folder, other)
		}
		revisions = append(revisions, r)
	}
	if rest, err := io.Copy(io.Discard, io.LimitReader(bound, 1<<20)); err != nil || rest > 64<<10 {
		return nil, fmt.Errorf("%d bytes after the archive's end (%v)", rest, err)
	}
	return revisions, nil
}
