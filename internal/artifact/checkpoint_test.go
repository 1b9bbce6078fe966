package artifact_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

func TestCheckpointGivesBackWhatItKeeps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		previous *artifact.CheckpointRef
		kept     []artifact.Thinned
	}{
		"the first revisions": {nil, history(t, 1, 5)},
		"one revision":        {nil, history(t, 1, 1)},
		"later ones":          {&artifact.CheckpointRef{Number: 6, Digest: digest.FromString("checkpoint 6")}, history(t, 7, 30)},
	} {
		a, err := artifact.PackCheckpoint(c.previous, c.kept)
		if err != nil {
			t.Fatal(err)
		}
		head, kept, err := artifact.UnpackCheckpoint(a)
		if err != nil || !reflect.DeepEqual(kept, c.kept) || !reflect.DeepEqual(head.Previous, c.previous) ||
			head.First != c.kept[0].Record.Number || head.Last != c.kept[len(c.kept)-1].Record.Number || head.Head != c.kept[len(c.kept)-1].Manifest.Digest {
			t.Errorf("%s: got %+v with %d revisions, error %v", name, head, len(kept), err)
		}
	}
}

func TestParseCheckpointReadsTheConfigAlone(t *testing.T) {
	t.Parallel()
	previous := &artifact.CheckpointRef{Number: 6, Digest: digest.FromString("checkpoint 6")}
	a, err := artifact.PackCheckpoint(previous, history(t, 7, 12))
	if err != nil {
		t.Fatal(err)
	}
	whole, _, err := artifact.UnpackCheckpoint(a)
	if err != nil {
		t.Fatal(err)
	}
	config := a.Blobs[0]
	if c, err := artifact.ParseCheckpoint(config); err != nil || !reflect.DeepEqual(c, whole) {
		t.Errorf("got %+v, %v; want %+v", c, err, whole)
	}
	edited := func(old, new string) registry.Blob {
		if !bytes.Contains(config.Data, []byte(old)) {
			t.Fatalf("no %q in %s", old, config.Data)
		}
		return registry.NewBlob(config.MediaType, bytes.Replace(config.Data, []byte(old), []byte(new), 1))
	}
	for name, b := range map[string]registry.Blob{
		"another type":   registry.NewBlob("text/plain", config.Data),
		"another format": edited(`"formatVersion":1`, `"formatVersion":2`),
		"a gap":          edited(`"first":7`, `"first":8`),
		"an overlap":     edited(`"first":7`, `"first":6`),
		"no revisions":   edited(`"last":12`, `"last":6`),
		"no number":      edited(`"number":6`, `"number":-6`),
		"a blank":        edited(`,"scope"`, `, "scope"`),
		"nothing":        registry.NewBlob(config.MediaType, nil),
	} {
		if c, err := artifact.ParseCheckpoint(b); err == nil {
			t.Errorf("%s: got %+v", name, c)
		}
	}
}

func TestCheckpointRefusesABrokenHistory(t *testing.T) {
	t.Parallel()
	previous := &artifact.CheckpointRef{Number: 6, Digest: digest.FromString("checkpoint 6")}
	whole := history(t, 7, 12)
	other := history(t, 7, 9)
	without := func(i int) []artifact.Thinned { return slices.Delete(slices.Clone(whole), i, i+1) }
	foreign := slices.Clone(whole)
	foreign[2].Record.Scope = "namespaces/other"
	swapped := slices.Clone(whole)
	swapped[3], swapped[4] = swapped[4], swapped[3]
	for name, c := range map[string]struct {
		previous *artifact.CheckpointRef
		kept     []artifact.Thinned
		want     string
	}{
		"nothing":                  {previous, nil, "no revisions"},
		"one is missing":           {previous, without(2), "it has 5 revisions from 7"},
		"the first is missing":     {previous, without(0), "they must begin with 7"},
		"nothing before it":        {nil, whole, "they must begin with 1"},
		"two of them swapped":      {previous, swapped, "revision 11 stands where 10 should"},
		"another scope":            {previous, foreign, "not of namespaces/default"},
		"another parent":           {previous, append(other[:1:1], whole[2:]...), "it has 5 revisions"},
		"a previous of no digest":  {&artifact.CheckpointRef{Number: 6}, whole, "its previous one is not named well"},
		"a previous of revision 0": {&artifact.CheckpointRef{Number: 0, Digest: previous.Digest}, history(t, 1, 2), "its previous one is not named well"},
	} {
		if _, err := artifact.PackCheckpoint(c.previous, c.kept); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	broken := slices.Clone(whole)
	edited := broken[2].Record
	edited.Parent = digest.FromString("elsewhere")
	a, err := artifact.Pack(artifact.TypeFluxConfig, edited, layerOf(t, db(), web(webVersion)))
	if err != nil {
		t.Fatal(err)
	}
	if broken[2], err = artifact.NewThinned(a.Manifest, a.Blobs[0].Data); err != nil {
		t.Fatal(err)
	}
	if _, err := artifact.PackCheckpoint(previous, broken); err == nil || !strings.Contains(err.Error(), "revision 9 is not the child of the one before it") {
		t.Errorf("another parent: got %v", err)
	}
}

// What a checkpoint's archive holds is verified, not believed.
func TestUnpackCheckpointVerifies(t *testing.T) {
	t.Parallel()
	good := goldens(t)["checkpoint"]
	archive := unzipped(t, good.Blobs[1].Data)
	replaced := func(old, new string) []byte {
		if !bytes.Contains(archive, []byte(old)) || len(old) != len(new) {
			t.Fatalf("%q cannot be replaced", old)
		}
		return bytes.Replace(archive, []byte(old), []byte(new), 1)
	}
	for name, c := range map[string]struct {
		archive []byte
		want    string
	}{
		"an edited record":       {replaced(`"actor":"Ada"`, `"actor":"Eve"`), "not the one that its record and layer give"},
		"an edited manifest":     {replaced(`title":"catalog.tar.gz"`, `title":"catalog.tar.xz"`), "is not the child"},
		"a cut archive":          {archive[:len(archive)/2], "EOF"},
		"an archive of nothing":  {make([]byte, 1024), "0 revisions"},
		"much after the archive": {append(slices.Clone(archive), make([]byte, 1<<20)...), "after the archive's end"},
	} {
		a := registry.Artifact{Manifest: good.Manifest, Blobs: []registry.Blob{good.Blobs[0], registry.NewBlob(artifact.TypeCheckpointContent, zipped(t, c.archive))}}
		if _, _, err := artifact.UnpackCheckpoint(a); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	config := strings.Replace(string(good.Blobs[0].Data), `"last":9`, `"last":8`, 1)
	a := registry.Artifact{Manifest: good.Manifest, Blobs: []registry.Blob{registry.NewBlob(artifact.TypeCheckpoint, []byte(config)), good.Blobs[1]}}
	if _, _, err := artifact.UnpackCheckpoint(a); err == nil {
		t.Error("another last revision was taken")
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	few := history(t, 1, 3)
	if n := artifact.Fits(few); n != 3 {
		t.Errorf("%d of 3 fit", n)
	}
	long := slices.Clone(few)
	for i := range long {
		long[i].Record.Changes = slices.Clone(long[i].Record.Changes)
		long[i].Record.Changes[0].Reason = strings.Repeat("x", 20<<20)
	}
	if n := artifact.Fits(long); n != 2 {
		t.Errorf("%d of three records with 20 MB fit, want 2", n)
	}
	long[0].Record.Changes[0].Reason = strings.Repeat("x", artifact.MaxCheckpointBytes)
	if n := artifact.Fits(long); n != 1 {
		t.Errorf("%d revisions fit, want one, however large", n)
	}
}

func unzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
