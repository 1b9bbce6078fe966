package e2e_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/trace"
)

// No success of a write leaves the server before the sync that makes it
// durable has returned: neither of the API, nor of a push. The system calls of
// the server show that.
func TestAnswersWaitForTheirSyncs(t *testing.T) {
	t.Parallel()
	for _, clients := range []int{1, 8} {
		t.Run(fmt.Sprintf("%d clients", clients), func(t *testing.T) {
			t.Parallel()
			promised, traced := writeTraced(t, clients)
			checked, err := trace.Check(traced, promised)
			if err != nil {
				t.Fatal(err)
			}
			if checked != len(promised) || checked < 50 {
				t.Errorf("only %d answers of %d writes were checked", checked, len(promised))
			}
			t.Logf("%d answers", checked)
		})
	}
}

// Without syncs the same check fails, of every single answer.
func TestAnswersWithoutSyncsAreFound(t *testing.T) {
	t.Parallel()
	promised, traced := writeTraced(t, 2, "--durability", "none")
	_, err := trace.Check(traced, promised)
	if err == nil {
		t.Fatal("the check has found nothing")
	}
	for _, p := range promised {
		if !strings.Contains(err.Error(), p.Method+" "+p.Path+", answered") {
			t.Errorf("%s %s: the check has not found it", p.Method, p.Path)
		}
	}
}

// writeTraced runs a server under strace, writes to it from several clients,
// and returns what it promised them, and the trace.
func writeTraced(t *testing.T, clients int, flags ...string) ([]trace.Promise, *bytes.Reader) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("this test needs strace (Debian's package of that name): %v", err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "trace")
	s := newServer(t, gsq.Options{Dir: dir, Args: flags, Runner: append(append([]string{strace}, trace.Flags()...), "-o", path)})
	startServer(t, s)
	const writes = 60
	var promised []trace.Promise
	var mu sync.Mutex
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			w := tracedWriter{t: t, s: s, name: fmt.Sprint("client-", client)}
			for n := range writes / clients {
				if n%3 == 2 {
					w.push(n)
				} else {
					w.create(n)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			promised = append(promised, w.promised...)
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	return promised, bytes.NewReader(wholeTrace(t, path))
}

// wholeTrace reads a trace once it is complete.
func wholeTrace(t *testing.T, path string) (data []byte) {
	t.Helper()
	await(t, 30*time.Second, "the end of the trace", func() (err error) {
		if data, err = os.ReadFile(path); err != nil {
			return err
		}
		if !trace.Complete(data) {
			return fmt.Errorf("%d bytes, and no end", len(data))
		}
		return nil
	})
	return data
}

// tracedWriter writes, and keeps what its answers promise.
type tracedWriter struct {
	t        *testing.T
	s        *gsq.Server
	name     string
	promised []trace.Promise
}

// create declares a resource. Its version, the catalog that has it and the
// catalog's tag must be durable.
func (w *tracedWriter) create(n int) {
	path := fmt.Sprintf("/api/v1/namespaces/traced/resources/%s-%d", w.name, n)
	a, err := w.s.Do(w.t.Context(), http.MethodPut, path, map[string]any{"spec": api.Spec{Type: "bucket", Size: "small", Region: "eu", Replicas: 1}})
	if err != nil || a.Status != http.StatusCreated {
		w.t.Errorf("PUT %s: %d %s %v", path, a.Status, a.Body, err)
		return
	}
	var r api.Resource
	if err := a.Decode(&r); err != nil {
		w.t.Error(err)
		return
	}
	const catalog = "gitops-squared/catalogs/traced"
	w.promised = append(w.promised, trace.Promise{Method: http.MethodPut, Path: path, Entries: [][]byte{
		manifestEntry(r.Repository, r.Digest),
		manifestEntry(catalog, r.Revision.Digest),
		tagEntry(catalog, "latest", r.Revision.Digest),
	}})
}

// push pushes an artifact with a small and a large blob under a tag, and
// deletes the tag.
func (w *tracedWriter) push(n int) {
	repo := fmt.Sprintf("traced/%s-%d", w.name, n)
	config, layer := []byte("{}"), []byte(strings.Repeat(repo+" ", 20_000))
	m := fmt.Sprintf(`{"schemaVersion":2,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[{"mediaType":"text/plain","digest":%q,"size":%d}]}`,
		ocispec.MediaTypeEmptyJSON, digest.FromBytes(config), len(config), digest.FromBytes(layer), len(layer))
	d := digest.FromString(m).String()
	w.send(http.StatusCreated, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+digest.FromBytes(config).String(), "", config,
		trace.Promise{Entries: [][]byte{digestKey("L", digest.FromBytes(config).String(), repo)}})
	w.send(http.StatusCreated, http.MethodPost, "/v2/"+repo+"/blobs/uploads/?digest="+digest.FromBytes(layer).String(), "", layer,
		trace.Promise{File: digest.FromBytes(layer).Encoded(), Entries: [][]byte{
			digestKey("B", digest.FromBytes(layer).String(), ""), digestKey("L", digest.FromBytes(layer).String(), repo),
		}})
	w.send(http.StatusCreated, http.MethodPut, "/v2/"+repo+"/manifests/v1", ocispec.MediaTypeImageManifest, []byte(m),
		trace.Promise{Entries: [][]byte{manifestEntry(repo, d), tagEntry(repo, "v1", d)}})
	w.send(http.StatusAccepted, http.MethodDelete, "/v2/"+repo+"/manifests/v1", "", nil,
		trace.Promise{Entries: [][]byte{append([]byte{0, byte(len(repo) + 4)}, "T"+repo+"\x00v1"...)}})
}

func (w *tracedWriter) send(status int, method, path, mediaType string, body []byte, p trace.Promise) {
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.s.URL+path, bytes.NewReader(body))
	if err != nil {
		w.t.Error(err)
		return
	}
	r.Header.Set("Content-Type", mediaType)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Error(err)
		return
	}
	answer.Body.Close()
	if answer.StatusCode != status {
		w.t.Errorf("%s %s: %s", method, path, answer.Status)
	}
	p.Method, p.Path = method, path
	w.promised = append(w.promised, p)
}

// The database's keys, as docs/embedded-registry.md has them.

func encoded(d string) []byte {
	sum, err := hex.DecodeString(strings.TrimPrefix(d, "sha256:"))
	if err != nil {
		return []byte("no digest: " + d) // which nothing holds
	}
	return append([]byte{1}, sum...)
}

func digestKey(kind, d, repo string) []byte {
	return append(append([]byte(kind), encoded(d)...), repo...)
}

func manifestEntry(repo, d string) []byte { return append([]byte("M"+repo+"\x00"), encoded(d)...) }

// tagEntry is a tag's key, the length of its value and the value.
func tagEntry(repo, tag, d string) []byte {
	value := encoded(d)
	return append(append([]byte("T"+repo+"\x00"+tag), byte(len(value))), value...)
}
