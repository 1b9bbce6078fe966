package remote_test

import (
	"net/url"
	"testing"

	"gitops-squared.io/gsq/internal/registry/remote"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{ // without a scheme: plain
		"localhost":                  "http://localhost",
		"localhost:5000":             "http://localhost:5000",
		"127.0.0.1:5000":             "http://127.0.0.1:5000",
		"[::1]":                      "http://[::1]",
		"[::1]:5000":                 "http://[::1]:5000",
		"my_registry:5000":           "http://my_registry:5000",
		"zot.registry.svc:5000":      "http://zot.registry.svc:5000",
		"http://example.com":         "http://example.com",
		"https://example.com":        "https://example.com",
		"https://example.com:65535":  "https://example.com:65535",
		"":                           "",
		"http://":                    "",
		"https://example.com/":       "",
		"https://example.com/prefix": "",
		"example.com/prefix":         "",
		"example.com?x":              "",
		"example.com#x":              "",
		"https://user:pw@host":       "",
		"user@host":                  "",
		"ftp://example.com":          "",
		"HTTP://example.com":         "",
		"://example.com":             "",
		"http://http://example.com":  "",
		"example.com:":               "",
		"example.com:0":              "",
		"example.com:65536":          "",
		"example.com:05000":          "",
		"example.com:+80":            "",
		"example.com:80:80":          "",
		"example..com":               "",
		"-example.com":               "",
		"exa mple.com":               "",
		" example.com":               "",
		"example.com\n":              "",
		"::1":                        "",
		"[::1":                       "",
		"[::1]x":                     "",
		"[fe80::1%eth0]":             "",
		"[127.0.0.1]":                "",
		"ex%41mple.com":              "",
		"exämple.com":                "",
	} {
		got, err := remote.ParseAddress(in, true)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q: got %s, want an error", in, got)
		case want != "" && (err != nil || got.String() != want):
			t.Errorf("%q: got %s (%v), want %s", in, got, err, want)
		}
	}
	if a, err := remote.ParseAddress("localhost:5000", false); err != nil || a.Plain {
		t.Errorf("a bare host that means HTTPS: %v, %v", a, err)
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"localhost:5000", "http://a.b", "https://[::1]:1", "", "a@b", "a/b", "[::", "x:y", "http://a:99999", "a%2fb", "a\x00b"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, s string, plain bool) {
		a, err := remote.ParseAddress(s, plain)
		if err != nil {
			return
		}
		again, err := remote.ParseAddress(a.String(), !plain)
		if err != nil || again != a {
			t.Fatalf("%q reads as %v, which reads as %v (%v)", s, a, again, err)
		}
		u, err := url.Parse(a.String() + "/v2/")
		if err != nil || u.Host != a.Host || u.Path != "/v2/" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%q reads as %v, whose URL is %+v (%v)", s, a, u, err)
		}
		if _, err := remote.New(remote.Options{Address: a, DockerConfig: t.TempDir()}); err != nil {
			t.Fatalf("%q reads as %v, which New refuses: %v", s, a, err)
		}
	})
}
