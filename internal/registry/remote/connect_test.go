package remote_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
	"gitops-squared.io/gsq/internal/registry/remote"
)

// answering is a registry with one manifest, tag latest, for all that have the
// header; nothing else works.
func answering(t *testing.T, authorization, challenge string) (http.Handler, registry.Artifact) {
	t.Helper()
	a := registrytest.Artifact(t, nil, "text")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != authorization {
			w.Header().Set("WWW-Authenticate", challenge)
			refusal(401, "UNAUTHORIZED")(w, r, nil)
			return
		}
		w.Header().Set("Content-Type", a.Manifest.MediaType)
		_, _ = w.Write(a.Manifest.Data)
	}), a
}

func TestTLS(t *testing.T) {
	t.Parallel()
	handler, a := answering(t, "", "")
	server := httptest.NewTLSServer(handler)
	defer server.Close()
	server.Config.ErrorLog = nil
	host := strings.TrimPrefix(server.URL, "https://")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	trusting, err := remote.New(remote.Options{Address: remote.Address{Host: host}, CA: ca, DockerConfig: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := trusting.Resolve(t.Context(), "repo", "latest"); err != nil || d.Digest != a.Manifest.Digest {
		t.Errorf("with its certificate: %v, %v", d, err)
	}
	doubting, err := remote.New(remote.Options{Address: remote.Address{Host: host}, DockerConfig: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := doubting.Resolve(t.Context(), "repo", "latest"); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("without its certificate: %v", err)
	}
	plain := httptest.NewServer(handler)
	defer plain.Close()
	mistaken, err := remote.New(remote.Options{Address: remote.Address{Host: strings.TrimPrefix(plain.URL, "http://")}, DockerConfig: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mistaken.Resolve(t.Context(), "repo", "latest"); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("HTTPS to a server of plain HTTP: %v", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	for _, host := range []string{closed, "no-such-host.invalid:5000"} {
		r := open(t, host)
		a := registrytest.Artifact(t, nil, "text")
		_, get := r.Get(t.Context(), "repo", "latest")
		_, tags := r.Tags(t.Context(), "repo", "", 1)
		_, referrers := r.Referrers(t.Context(), "repo", a.Manifest.Digest, "")
		_, probe := r.Probe(t.Context(), "repo")
		for name, err := range map[string]error{
			"Get": get, "Tags": tags, "Referrers": referrers, "Probe": probe,
			"Put":    r.Put(t.Context(), registry.Push{Repository: "repo", Artifact: a}),
			"Commit": r.Commit(t.Context(), registry.Tag{Repository: "repo", Name: "latest", Manifest: a.Manifest}),
			"Delete": r.Delete(t.Context(), "repo", a.Manifest.Digest),
		} {
			if !errors.Is(err, registry.ErrUnreachable) || !registry.Settled(err) {
				t.Errorf("%s of %s: %v", name, host, err)
			}
		}
	}
}

// dockerConfig writes a configuration with credentials for host and returns
// its folder.
func dockerConfig(t *testing.T, host, user, password string) string {
	t.Helper()
	dir := t.TempDir()
	data, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{
		"auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + password)),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestBasicCredentials(t *testing.T) {
	t.Parallel()
	handler, a := answering(t, basic("user", "secret"), `Basic realm="r"`)
	server := httptest.NewServer(handler)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	for name, c := range map[string]struct {
		config string
		want   error
	}{
		"right":            {dockerConfig(t, host, "user", "secret"), nil},
		"wrong":            {dockerConfig(t, host, "user", "guess"), registry.ErrRefused},
		"another host's":   {dockerConfig(t, "example.com", "user", "secret"), registry.ErrRefused},
		"no configuration": {t.TempDir(), registry.ErrRefused},
	} {
		r, err := remote.New(remote.Options{Address: remote.Address{Host: host, Plain: true}, DockerConfig: c.config})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = r.Resolve(t.Context(), "repo", "latest"); !errors.Is(err, c.want) {
			t.Errorf("%s: Resolve: %v, want %v", name, err, c.want)
		}
		if c.want == nil {
			continue
		}
		err = r.Commit(t.Context(), registry.Tag{Repository: "repo", Name: "latest", Manifest: a.Manifest})
		if !errors.Is(err, c.want) || !registry.Settled(err) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: Commit: %v, want %v", name, err, c.want)
		}
	}
}

// TestBearerToken goes through a token server, which may be down or refuse.
func TestBearerToken(t *testing.T) {
	t.Parallel()
	handler, a := answering(t, "Bearer token-1", "")
	for name, c := range map[string]struct {
		status int
		want   error
	}{"right": {200, nil}, "refused": {401, registry.ErrRefused}, "down": {503, registry.ErrUnavailable}} {
		var server *httptest.Server
		mux := http.NewServeMux()
		mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != basic("user", "secret") || r.URL.Query().Get("service") != "s" {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(`{"token":"token-1"}`))
		})
		mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s",scope="repository:repo:pull"`, server.URL))
				refusal(401, "UNAUTHORIZED")(w, r, nil)
				return
			}
			handler.ServeHTTP(w, r)
		})
		server = httptest.NewServer(mux)
		defer server.Close()
		host := strings.TrimPrefix(server.URL, "http://")
		r, err := remote.New(remote.Options{Address: remote.Address{Host: host, Plain: true}, DockerConfig: dockerConfig(t, host, "user", "secret")})
		if err != nil {
			t.Fatal(err)
		}
		if d, err := r.Resolve(t.Context(), "repo", "latest"); !errors.Is(err, c.want) || (err == nil && d.Digest != a.Manifest.Digest) {
			t.Errorf("%s: %v, %v, want %v", name, d, err, c.want)
		}
	}
}

// TestCredentialHelper finds the configuration and its helper through the
// environment, which it has to change.
func TestCredentialHelper(t *testing.T) {
	handler, a := answering(t, basic("user", "from-helper"), `Basic realm="r"`)
	server := httptest.NewServer(handler)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	dir := t.TempDir()
	helper := "#!/bin/sh\ncat >/dev/null\necho '{\"ServerURL\":\"x\",\"Username\":\"user\",\"Secret\":\"from-helper\"}'\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-gsqtest"), []byte(helper), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"credHelpers":{"`+host+`":"gsqtest"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("DOCKER_CONFIG", dir)
	r, err := remote.New(remote.Options{Address: remote.Address{Host: host, Plain: true}})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := r.Resolve(t.Context(), "repo", "latest"); err != nil || d.Digest != a.Manifest.Digest {
		t.Errorf("%v, %v", d, err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := remote.Address{Host: "localhost:5000"}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "config.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]remote.Options{
		"no address":                    {},
		"an address with a path":        {Address: remote.Address{Host: "localhost/x"}},
		"a long time-out":               {Address: good, RequestTimeout: 11 * time.Second},
		"a negative time-out":           {Address: good, RequestTimeout: -1},
		"negative concurrency":          {Address: good, Concurrency: -1},
		"certificates that are not":     {Address: good, CA: []byte("x")},
		"certificates for plain HTTP":   {Address: remote.Address{Host: "localhost", Plain: true}, CA: []byte("x")},
		"a broken Docker configuration": {Address: good, DockerConfig: broken},
	} {
		if name != "a broken Docker configuration" {
			o.DockerConfig = t.TempDir()
		}
		if _, err := remote.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
