package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
)

// generic is what encoding/json writes, which is what answers must be.
func generic(t testing.TB, v any) string {
	t.Helper()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func encodedBy(t testing.TB, write func(*bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func entryOf(name, region string, version, created int64, replicas int) *ledger.Entry {
	e := &ledger.Entry{Digest: digest.FromString(name), Repository: "gitops-squared/resources/shop/" + name}
	e.Namespace, e.Name = "shop", name
	e.Version, e.Created = intent.Version(version), intent.Version(created)
	e.Spec = intent.Spec{Type: "vm", Size: "small", Region: region, Replicas: replicas}
	e.YAML = make([]byte, 300)
	return e
}

// FuzzEncoding holds the encoder of hot answers to encoding/json.
func FuzzEncoding(f *testing.F) {
	for _, text := range []string{"", "eu", `<a href=x>&`, `a"b`, `a\b`, "\x00\x1f\x7f", "é\u2028\u2029", "\xff\xfe", "a\nb\tc"} {
		f.Add(text, int64(1795263788716384), int64(1795263788000000), 2, int64(7), true)
	}
	f.Add("web", int64(1), int64(0), 0, int64(0), false)
	f.Fuzz(func(t *testing.T, text string, version, created int64, replicas int, number int64, extra bool) {
		const years = 253402300799_999999 // up to 9999
		e := entryOf(text, text, max(0, version)%years, max(0, created)%years, replicas)
		revision := ledger.Revision{Number: number, Digest: digest.Digest(text)}
		one := answerEntry(e)
		if extra {
			one = *answerResource(e, revision)
			one.Unchanged = true
		}
		got := encodedBy(t, func(b *bytes.Buffer) error { return encode(b, &one) })
		if want := generic(t, one); got != want {
			t.Errorf("a resource is encoded as\n%s\nencoding/json has\n%s", got, want)
		}
		list := &listing{entries: []*ledger.Entry{e, e}, count: replicas, revision: answerRevision(revision)}
		if extra {
			list.next = text
		}
		want := generic(t, api.ResourceList{
			Resources: []api.Resource{answerEntry(e), answerEntry(e)}, Count: replicas, Revision: answerRevision(revision), Continue: list.next,
		})
		if got := encodedBy(t, func(b *bytes.Buffer) error { return list.write(b) }); got != want {
			t.Errorf("a list is encoded as\n%s\nencoding/json has\n%s", got, want)
		}
	})
}

// pieces counts how a list is written.
type pieces struct {
	bytes.Buffer
	largest int
}

func (p *pieces) Write(data []byte) (int, error) {
	p.largest = max(p.largest, len(data))
	return p.Buffer.Write(data)
}

func TestListsAreWrittenInPieces(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 1000} {
		s := ledger.Snapshot{Revision: ledger.Revision{Number: 3, Digest: "sha256:a", Time: time.Unix(1, 0)}}
		want := api.ResourceList{Resources: []api.Resource{}, Count: n, Revision: answerRevision(s.Revision)}
		for i := range n {
			e := entryOf(fmt.Sprintf("web-%04d", i), "eu", 1795263788716384, 1795263788716384, 1)
			s.Entries = append(s.Entries, e)
			want.Resources = append(want.Resources, answerEntry(e))
		}
		var got pieces
		if err := wholeList(s).write(&got); err != nil {
			t.Fatal(err)
		}
		if got.String() != generic(t, want) {
			t.Errorf("%d resources are not encoded as encoding/json does", n)
		}
		if got.largest > pieceBytes+resourceBytes {
			t.Errorf("%d resources are written in pieces of up to %d bytes, want about %d", n, got.largest, pieceBytes)
		}
		if !bytes.Equal(wholeList(s).encoded(), got.Bytes()) {
			t.Errorf("%d resources are cached in another form", n)
		}
	}
}
