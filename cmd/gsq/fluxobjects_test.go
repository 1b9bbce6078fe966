package main

import (
	"bytes"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestFluxObjects(t *testing.T) {
	t.Parallel()
	for file, source := range map[string]fluxSource{
		"default.yaml": {namespace: "default", fluxNamespace: "flux-system", registry: "127.0.0.1:8080", insecure: true,
			repository: "gitops-squared/catalog", interval: 10 * time.Second},
		"staging.yaml": {namespace: "staging", fluxNamespace: "flux", registry: "registry.example:5000",
			repository: "gitops-squared/catalogs/staging", interval: 90 * time.Second, secret: "pull"},
	} {
		want, err := os.ReadFile("testdata/flux/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := writeYAML(&got, source.objects()...); err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s: got\n%s", file, got.String())
		}
	}
}

func TestFluxNames(t *testing.T) {
	t.Parallel()
	if got := fluxName("default"); got != "gitops-squared-default" {
		t.Errorf("got %s", got)
	}
	seen := map[string]string{}
	for _, namespace := range []string{
		"a", strings.Repeat("a", 48), strings.Repeat("a", 49), strings.Repeat("a", 63), strings.Repeat("a", 62) + "b",
		strings.Repeat("a", 37) + strings.Repeat("-", 25) + "b",
	} {
		name := fluxName(namespace)
		if msgs := validation.IsDNS1123Label(name); len(msgs) > 0 {
			t.Errorf("%s: %v", name, msgs)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%s and %s have the same name", other, namespace)
		}
		seen[name] = namespace
	}
}

func TestParseRegistry(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		host     string
		insecure bool
	}{
		"registry.example":        {"registry.example", false},
		"registry.example:5000":   {"registry.example:5000", false},
		"http://10.0.0.1:5000/":   {"10.0.0.1:5000", true},
		"https://[2001:db8::1]:5": {"[2001:db8::1]:5", false},
	} {
		host, insecure, err := parseRegistry(text)
		if err != nil || host != want.host || insecure != want.insecure {
			t.Errorf("%s: %s %t %v", text, host, insecure, err)
		}
	}
}

func TestOnlyLocal(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"127.0.0.1:8080": true, "localhost": true, "localhost:1": true, "[::1]:80": true, "0.0.0.0:8080": true, "[::]": true,
		"10.0.0.1:80": false, "registry.example": false, "localhost.example:80": false,
	} {
		if got := onlyLocal(host); got != want {
			t.Errorf("%s: %t", host, got)
		}
	}
}

func FuzzParseRegistry(f *testing.F) {
	for _, seed := range []string{"registry.example:5000", "http://[::1]:80", "https://x/", "a@b", "host:", "http://a/b?c#d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, _, err := parseRegistry(text)
		if err != nil {
			return
		}
		u, err := url.Parse("oci://" + host + "/catalog")
		if err != nil || u.Host != host || u.Path != "/catalog" || u.User != nil {
			t.Fatalf("%q gives host %q, which is none", text, host)
		}
	})
}
