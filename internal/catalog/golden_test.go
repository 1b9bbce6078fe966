//go:build unix

package catalog_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gitops-squared.io/gsq/internal/catalog"
)

// The golden catalogs. Their digests stand in testdata/golden/digests.txt, one
// line each: name, resources, digest of the layer, digest of the tar in it.
const digestsFile = "testdata/golden/digests.txt"

type golden struct {
	name       string
	resources  int
	layer, tar string // sha256, hexadecimal
}

func goldens(t *testing.T) []golden {
	t.Helper()
	data, err := os.ReadFile(digestsFile)
	if err != nil {
		t.Fatal(err)
	}
	var out []golden
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) != 4 {
			t.Fatalf("%s: %q", digestsFile, line)
		}
		n, err := strconv.Atoi(f[1])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, golden{f[0], n, f[2], f[3]})
	}
	if len(out) != 4 {
		t.Fatalf("%d golden catalogs, want 4", len(out))
	}
	return out
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func TestPackGivesTheGoldenBytes(t *testing.T) {
	t.Parallel()
	for _, g := range goldens(t) {
		got := pack(t, "default", numberedEntries(t, "default", g.resources))
		if sum(got) != g.layer || sum(gunzipAll(t, got)) != g.tar {
			t.Errorf("%s: layer %s, tar %s; want %s and %s", g.name, sum(got), sum(gunzipAll(t, got)), g.layer, g.tar)
		}
		if g.resources > 3 {
			continue // the digest will do
		}
		want, err := os.ReadFile(filepath.Join("testdata/golden", g.name+".tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: Pack no longer gives the bytes of its golden file", g.name)
		}
		if _, err := catalog.Unpack("default", want); err != nil {
			t.Errorf("%s: %v", g.name, err)
		}
	}
}

// TestMain lets the test binary pack a catalog in an environment of its own.
func TestMain(m *testing.M) {
	if os.Getenv("GSQ_TEST_PACK") == "" {
		os.Exit(m.Run())
	}
	if err := packInChild(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// packInChild packs as many resources as GSQ_TEST_PACK says, shuffled, under
// the umask GSQ_TEST_UMASK, and prints the layer.
func packInChild() error {
	n, err := strconv.Atoi(os.Getenv("GSQ_TEST_PACK"))
	if err != nil {
		return err
	}
	umask, err := strconv.ParseInt(os.Getenv("GSQ_TEST_UMASK"), 8, 32)
	if err != nil {
		return err
	}
	syscall.Umask(int(umask))
	resources := numbered("default", n)
	rand.Shuffle(n, func(i, j int) { resources[i], resources[j] = resources[j], resources[i] })
	entries := make([]catalog.Entry, n)
	for i, r := range resources {
		if entries[i], err = entryOf(r); err != nil {
			return err
		}
	}
	data, err := catalog.Pack("default", entries)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(data)
	return err
}

func TestPackDependsOnNothingButTheResources(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, environment := range [][]string{
		{"TZ=UTC", "GSQ_TEST_UMASK=000", "LANG=C", "GOMAXPROCS=1"},
		{"TZ=Pacific/Kiritimati", "GSQ_TEST_UMASK=077", "LANG=tr_TR.UTF-8", "LC_ALL=tr_TR.UTF-8", "GOMAXPROCS=7"},
		{"TZ=America/St_Johns", "GSQ_TEST_UMASK=027", "LANG=ja_JP.SJIS", "GOMAXPROCS=2", "SOURCE_DATE_EPOCH=1", "HOME=/nowhere", "USER=somebody"},
	} {
		t.Run(environment[0], func(t *testing.T) {
			t.Parallel()
			for _, g := range goldens(t) {
				cmd := exec.CommandContext(t.Context(), self)
				// GOCOVERDIR keeps an instrumented binary from complaining.
				cmd.Env = append([]string{"GSQ_TEST_PACK=" + strconv.Itoa(g.resources), "GOCOVERDIR=" + cmp.Or(os.Getenv("GOCOVERDIR"), t.TempDir())}, environment...)
				var stderr strings.Builder
				cmd.Stderr = &stderr
				got, err := cmd.Output()
				if err != nil {
					t.Fatalf("%v: %s", err, stderr.String())
				}
				if sum(got) != g.layer {
					t.Errorf("%s: layer %s, want %s", g.name, sum(got), g.layer)
				}
			}
		})
	}
}
