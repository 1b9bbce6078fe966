package e2e_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"gitops-squared.io/gsq/e2e/history"
)

// The reader that the other tests trust finds what is wrong, behind a proxy
// that changes one answer.
func TestReaderFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	s, _ := places()[0].start(t)
	fill(t, s, "default", 2)
	call(t, s, http.StatusOK, http.MethodDelete, "/api/v1/resources/many-000", nil, nil)
	const catalog = "/v2/gitops-squared/catalog/"
	resource := "/v2/gitops-squared/resources/default/many-001/"
	for name, c := range map[string]struct {
		from, to string // a path that is answered with another's content
		edit     func(body string) string
		want     string // of the error; empty: none
	}{
		"nothing":                  {catalog + "nowhere", "", nil, ""},
		"latest is behind":         {catalog + "manifests/latest", catalog + "manifests/r2", nil, "catalog:latest is"},
		"latest is gone":           {catalog + "manifests/latest", catalog + "manifests/none", nil, "catalog:latest is"},
		"a revision twice":         {catalog + "manifests/r3", catalog + "manifests/r2", nil, "it is revision 2"},
		"another chain's revision": {catalog + "manifests/r1", "/v2/gitops-squared/system/manifests/r1", nil, "want a config"},
		"a gap":                    {catalog + "tags/list", "", func(b string) string { return strings.Replace(b, `"r2",`, "", 1) }, "has the tags"},
		"a tag too many":           {resource + "tags/list", "", func(b string) string { return strings.Replace(b, `"latest"`, `"latest","v1"`, 1) }, "has the tags"},
		"no version":               {resource + "manifests/", resource + "manifests/none", nil, "not found"},
		"another resource's latest": {resource + "manifests/latest",
			"/v2/gitops-squared/resources/default/many-000/manifests/latest", nil, "many-001:latest is"},
		"an altered blob": {"/v2/gitops-squared/resources/default/many-001/blobs/", "", func(b string) string { return b + " " }, "corrupt content"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			proxy := httptest.NewServer(&httputil.ReverseProxy{
				Rewrite: func(r *httputil.ProxyRequest) {
					r.SetURL(server)
					if c.to != "" && strings.HasPrefix(r.In.URL.Path, c.from) {
						r.Out.URL.Path = c.to
					}
				},
				ModifyResponse: func(r *http.Response) error {
					if c.edit == nil || !strings.HasPrefix(r.Request.URL.Path, c.from) {
						return nil
					}
					body, err := io.ReadAll(r.Body)
					if err != nil {
						return err
					}
					edited := c.edit(string(body))
					r.Header.Del("Content-Length")
					r.ContentLength = int64(len(edited))
					r.Body = io.NopCloser(bytes.NewReader([]byte(edited)))
					return nil
				},
			})
			defer proxy.Close()
			reader := history.New(strings.TrimPrefix(proxy.URL, "http://"))
			defer reader.Close()
			_, err = reader.Read(t.Context(), "gitops-squared")
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("Read = %v, want an error with %q", err, c.want)
			}
		})
	}
}
