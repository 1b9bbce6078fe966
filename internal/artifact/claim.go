package artifact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

const titleClaim = "writer.json"

// Claim says which ledger holds the prefix.
type Claim struct {
	ID   string `json:"id"`   // ClaimID of time and a random part
	Host string `json:"host"` // where it runs, for people
}

// claimID is w<microseconds>-<16 hexadecimal digits>.
var claimID = regexp.MustCompile(`^w([1-9][0-9]{0,17})-[0-9a-f]{16}$`)

// ClaimID builds the id of a claim made at t. Ids order by their time.
func ClaimID(t intent.Version, random uint64) string {
	return fmt.Sprintf("w%d-%016x", int64(t), random)
}

// ClaimTime is the time in a claim's id; false if it is not an id.
func ClaimTime(id string) (intent.Version, bool) {
	m := claimID.FindStringSubmatch(id)
	if m == nil {
		return 0, false
	}
	v, err := intent.ParseVersion("v" + m[1])
	return v, err == nil
}

// Pack returns the artifact that is put at the writer repository's latest. It
// fails unless ID is one that ClaimID built.
func (c Claim) Pack() (registry.Artifact, error) {
	if _, ok := ClaimTime(c.ID); !ok {
		return registry.Artifact{}, fmt.Errorf("writer claim: %q is not an id", c.ID)
	}
	data, err := json.Marshal(c)
	if err != nil {
		return registry.Artifact{}, fmt.Errorf("writer claim: %w", err)
	}
	config, layer := emptyConfig(), registry.NewBlob(TypeWriterClaim, data)
	return pack(ocispec.Manifest{
		ArtifactType: TypeWriter,
		Config:       config.Descriptor(),
		Layers:       []ocispec.Descriptor{titled(layer, titleClaim)},
	}, config, layer), nil
}

// UnpackClaim reads what Pack wrote, and nothing else: the manifest must be
// exactly the one that Pack makes of the claim.
func UnpackClaim(a registry.Artifact) (Claim, error) {
	if len(a.Blobs) != 2 || a.Blobs[1].MediaType != TypeWriterClaim {
		return Claim{}, fmt.Errorf("manifest %s: not a writer claim", a.Manifest.Digest)
	}
	var c Claim
	d := json.NewDecoder(bytes.NewReader(a.Blobs[1].Data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Claim{}, fmt.Errorf("writer claim: %w", err)
	}
	again, err := c.Pack()
	if err != nil {
		return Claim{}, err
	}
	if again.Manifest.Digest != a.Manifest.Digest {
		return Claim{}, fmt.Errorf("manifest %s: writer claim: %w", a.Manifest.Digest, intent.ErrNotCanonical)
	}
	return c, nil
}
