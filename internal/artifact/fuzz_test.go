package artifact_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// What ParseRecord takes is what Encode writes.
func FuzzParseRecord(f *testing.F) {
	for _, r := range []artifact.Record{catalogRecord(f), firstRecord(), takeOverRecord(f), systemRecord()} {
		data, err := r.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"formatVersion":1,"scope":"s","number":1,"time":"2026-08-01T12:02:02.000003Z","writer":"w","changes":[{"operation":"o","name":"n","reason":"\u2028\ufffd"}],"checkpoint":{}}`))
	f.Add([]byte(`{"formatVersion":1,"FormatVersion":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := artifact.ParseRecord(data)
		if err != nil {
			if !reflect.DeepEqual(r, artifact.Record{}) {
				t.Fatal("a record besides an error")
			}
			return
		}
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%s\nis written as\n%s\nerror %v", data, again, err)
		}
	})
}

// A record gives back what was put into it, or is not written.
func FuzzRecordText(f *testing.F) {
	f.Add("create", "web", "Ada", "because", "w1-0123456789abcdef")
	f.Add("o", "<&>", "\u2028\u2029", "\xff", "\x00")
	f.Fuzz(func(t *testing.T, operation, name, actor, reason, writer string) {
		r := firstRecord()
		r.Writer = writer
		r.Changes = []artifact.RecordChange{{Operation: operation, Name: name, Actor: actor, Reason: reason, Before: &artifact.VersionRef{Version: operation, Digest: systemRecord().Parent}}}
		data, err := r.Encode()
		if err != nil {
			return
		}
		if got, err := artifact.ParseRecord(data); err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%+v, written as %s, is read as %+v, error %v", r, data, got, err)
		}
	})
}

func FuzzParseSystem(f *testing.F) {
	blob, err := system().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob.Data)
	f.Add([]byte(`{"formatVersion":1,"namespaces":{}}`))
	f.Add([]byte(`{"formatVersion":1,"namespaces":null}`))
	f.Add([]byte(`{"formatVersion":1,"namespaces":{"a":null}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := artifact.ParseSystem(data)
		if err != nil {
			return
		}
		if s.Namespaces == nil {
			t.Fatal("no map to add a namespace to")
		}
		again, err := s.Encode()
		if err != nil || !bytes.Equal(again.Data, data) {
			t.Fatalf("%s\nis written as\n%s\nerror %v", data, again.Data, err)
		}
	})
}

func FuzzUnpackClaim(f *testing.F) {
	for name, a := range goldens(f) {
		f.Add(a.Manifest.Data, a.Blobs[0].Data, a.Blobs[1].Data, name == "writer")
	}
	f.Add([]byte("{}"), []byte("{}"), []byte(`{"id":"w1-0123456789abcdef","host":"a"}{}`), true)
	f.Fuzz(func(t *testing.T, manifest, config, layer []byte, typed bool) {
		mediaType := "text/plain"
		if typed {
			mediaType = artifact.TypeWriterClaim
		}
		a := registry.Artifact{
			Manifest: registry.NewManifest("application/vnd.oci.image.manifest.v1+json", manifest),
			Blobs:    []registry.Blob{registry.NewBlob("application/vnd.oci.empty.v1+json", config), registry.NewBlob(mediaType, layer)},
		}
		c, err := artifact.UnpackClaim(a)
		if err != nil {
			return
		}
		again, err := c.Pack()
		if err != nil || !bytes.Equal(again.Manifest.Data, manifest) || !bytes.Equal(again.Blobs[1].Data, layer) {
			t.Fatalf("%s\nis written as\n%s\nerror %v", layer, again.Blobs[1].Data, err)
		}
	})
}

func FuzzParseRevisionTag(f *testing.F) {
	for _, tag := range []string{"r0", "r1", "r01", "r-0", "r9223372036854775807", "r9223372036854775808", "latest", ""} {
		f.Add(tag)
	}
	f.Fuzz(func(t *testing.T, tag string) {
		n, err := artifact.ParseRevisionTag(tag)
		if err == nil && (n < 0 || artifact.RevisionTag(n) != tag) {
			t.Fatalf("%q is read as %d", tag, n)
		}
	})
}

// What UnpackCheckpoint takes packs again, revision by revision.
func FuzzUnpackCheckpoint(f *testing.F) {
	a := goldens(f)["checkpoint"]
	f.Add(a.Blobs[0].Data, a.Blobs[1].Data)
	f.Fuzz(func(t *testing.T, config, layer []byte) {
		c, revisions, err := artifact.UnpackCheckpoint(registry.Artifact{
			Manifest: registry.NewManifest("application/vnd.oci.image.manifest.v1+json", []byte("{}")),
			Blobs:    []registry.Blob{registry.NewBlob(artifact.TypeCheckpoint, config), registry.NewBlob(artifact.TypeCheckpointContent, layer)},
		})
		if err != nil {
			return
		}
		again, err := artifact.PackCheckpoint(c.Previous, revisions)
		if err != nil || !bytes.Equal(again.Blobs[0].Data, config) {
			t.Fatalf("%s\nis written as\n%s\nerror %v", config, again.Blobs[0].Data, err)
		}
	})
}

func FuzzUnpackDeployment(f *testing.F) {
	a := goldens(f)["deployment"]
	f.Add(a.Blobs[1].Data)
	f.Fuzz(func(t *testing.T, layer []byte) {
		d := artifact.Deployment{}
		if json.Unmarshal(layer, &d) != nil {
			return
		}
		packed, err := d.Pack()
		if err != nil {
			return
		}
		again, err := artifact.UnpackDeployment(packed)
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Fatalf("%+v\nis read as\n%+v\nerror %v", d, again, err)
		}
	})
}
