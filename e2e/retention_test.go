package e2e_test

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
)

// youngest is what no policy deletes.
const youngest = time.Minute

// On both kinds of registry: what is not kept goes, also across a kill in the
// middle of it; what is kept can be read and rolled back to; the checker finds
// the history whole; and the embedded registry's folder becomes smaller.
func TestRetention(t *testing.T) {
	t.Parallel()
	for _, p := range places() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			embedded := p.name == "embedded"
			resources, revisions := 5, 20
			if embedded {
				resources, revisions = 100, 80
			}
			s, host := p.start(t)
			const space = "/api/v1/namespaces/default"
			write := func() int64 {
				request := api.ApplyRequest{}
				for i := range resources {
					request.Resources = append(request.Resources, api.ApplyResource{
						Name: fmt.Sprintf("vm-%03d", i), Spec: api.Spec{Type: "vm", Size: "small", Region: strings.Repeat(rand.Text(), 9)},
					})
				}
				var answer api.ApplyResponse
				call(t, s, http.StatusOK, http.MethodPost, space+"/apply", request, &answer)
				return answer.Revision.Number
			}
			for range revisions - 3 {
				write()
			}
			older := write()
			write()
			var kept api.ResourceList
			call(t, s, http.StatusOK, http.MethodGet, space+"/resources", nil, &kept)
			last := write()
			runGSQ(t, s, "", "retention", "set", "--revisions", "3")
			time.Sleep(youngest + time.Second)

			var planned, done api.Collection
			call(t, s, http.StatusOK, http.MethodPost, space+"/gc", api.CollectionRequest{DryRun: true}, &planned)
			if want := int(last) - 3; planned.State != api.CollectionDone || planned.Revisions != want || planned.Versions == 0 || planned.Bytes == 0 {
				t.Errorf("a dry run: %+v, want %d revisions", planned, want)
			}
			before := folderSize(t, s)

			// Killed in the middle, the next one goes on.
			killed := make(chan struct{})
			go func() {
				defer close(killed)
				_, _ = s.Do(t.Context(), http.MethodPost, space+"/gc", api.CollectionRequest{})
			}()
			await(t, startTimeout, "the first deletions", func() error {
				var now api.Collection
				call(t, s, http.StatusOK, http.MethodGet, space+"/gc?dryRun=false", nil, &now)
				if now.Revisions+now.Versions == 0 {
					return fmt.Errorf("none yet: %+v", now)
				}
				return nil
			})
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			<-killed
			startServer(t, s)
			t.Log(runGSQ(t, s, "", "gc"))
			call(t, s, http.StatusOK, http.MethodGet, space+"/gc", nil, &done)
			if done.State != api.CollectionDone || done.Thinned != last-3 {
				t.Errorf("%+v", done)
			}
			if embedded != (done.Freed != nil) {
				t.Errorf("%s: freed %+v", p.name, done.Freed)
			}
			if embedded {
				after := folderSize(t, s)
				t.Logf("the folder had %d bytes, and has %d; %d were said to be freed, %d to be deletable", before, after, done.Freed.Bytes, planned.Bytes)
				if freed := before - after; freed < planned.Bytes/2 || freed < 1<<20 {
					t.Errorf("the folder had %d bytes and has %d now; %d were deletable", before, after, planned.Bytes)
				}
			}

			// What is kept is what it was; what is not has its record.
			call(t, s, http.StatusGone, http.MethodGet, space+fmt.Sprintf("/resources?at=r%d", older-1), nil, nil)
			var record api.Commit
			call(t, s, http.StatusOK, http.MethodGet, space+fmt.Sprintf("/revisions/r%d", older-1), nil, &record)
			if len(record.Changes) != resources {
				t.Errorf("the record of a thinned revision has %d changes", len(record.Changes))
			}
			runGSQ(t, s, "", "rollback", "--to", fmt.Sprintf("r%d", last-1), "--yes")
			var back api.ResourceList
			call(t, s, http.StatusOK, http.MethodGet, space+"/resources", nil, &back)
			for i := range kept.Resources {
				if back.Resources[i].Digest != kept.Resources[i].Digest {
					t.Errorf("%s came back as another one", back.Resources[i].Name)
				}
			}
			t.Log(runGSQ(t, s, "", "fsck", "--registry", "http://"+host))
		})
	}
}

// folderSize is how many bytes the embedded registry's files have.
func folderSize(t *testing.T, s *gsq.Server) int64 {
	t.Helper()
	var size int64
	_ = filepath.WalkDir(filepath.Dir(s.LogFile()), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && path != s.LogFile() {
			if info, err := d.Info(); err == nil { // files come and go
				size += info.Size()
			}
		}
		return nil
	})
	return size
}
