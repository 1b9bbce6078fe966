package catalog_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"gitops-squared.io/gsq/internal/catalog"
)

// member is one entry of a hand-made archive.
type member struct {
	header tar.Header
	data   string
}

func regular(name, data string) member {
	return member{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data))}, data}
}

func (m member) with(edit func(*tar.Header)) member {
	edit(&m.header)
	return m
}

func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	tw := tar.NewWriter(&out)
	for _, m := range members {
		if err := tw.WriteHeader(&m.header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, m.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipOf(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zw.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const kustomizationOfTwo = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: \"default\"\nresources:\n  - default-a.yaml\n  - default-b.yaml\n"

// two returns the members of a good catalog of a and b.
func two() []member {
	return []member{
		regular("manifests/default-a.yaml", "a: 1\n"),
		regular("manifests/default-b.yaml", "b: 1\n"),
		regular("manifests/kustomization.yaml", kustomizationOfTwo),
	}
}

func TestUnpackTakesAnyCompression(t *testing.T) {
	t.Parallel()
	whole := tarOf(t, two()...)
	for name, archive := range map[string][]byte{
		"one gzip member":          gzipOf(t, whole),
		"two gzip members":         append(gzipOf(t, whole[:700]), gzipOf(t, whole[700:])...),
		"an empty one at the end":  append(gzipOf(t, whole), gzipOf(t, nil)...),
		"an empty one at the head": append(gzipOf(t, nil), gzipOf(t, whole)...),
	} {
		got, err := catalog.Unpack("default", archive)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(got) != 2 || got[0].Name != "a" || string(got[0].YAML) != "a: 1\n" || got[1].Name != "b" || string(got[1].YAML) != "b: 1\n" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// zeros compresses a tar member of n zero bytes, about a thousandth of it.
func zeros(t testing.TB, n int64) []byte {
	t.Helper()
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(zw)
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "manifests/default-a.yaml", Mode: 0o644, Size: n}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(tw, endless{}, n); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUnpackRefusesWhatPackDoesNotWrite(t *testing.T) {
	t.Parallel()
	good := gzipOf(t, tarOf(t, two()...))
	changed := func(i int, edit func(*tar.Header)) []byte {
		members := two()
		members[i] = members[i].with(edit)
		return gzipOf(t, tarOf(t, members...))
	}
	renamed := func(name string) []byte { return changed(0, func(h *tar.Header) { h.Name = name }) }
	with := func(members ...member) []byte { return gzipOf(t, tarOf(t, append(members, two()...)...)) }
	link := func(kind byte, target string) member {
		return member{tar.Header{Typeflag: kind, Name: "manifests/default-0.yaml", Linkname: target, Mode: 0o644}, ""}
	}
	files := two()
	a, b, k := files[0], files[1], files[2]

	for name, c := range map[string]struct {
		archive []byte
		want    string // in the error
	}{
		"nothing":                      {nil, "EOF"},
		"not gzip":                     {[]byte("PK\x03\x04 and more than ten bytes"), "invalid header"},
		"a tar that is not compressed": {tarOf(t, files...), "invalid header"},
		"gzip of nothing":              {gzipOf(t, nil), "does not end with manifests/kustomization.yaml"},
		"gzip of no tar":               {gzipOf(t, bytes.Repeat([]byte("x"), 2000)), "invalid tar header"},
		"gzip cut in its header":       {good[:5], "EOF"},
		"gzip cut in its data":         {good[:len(good)/2], "unexpected EOF"},
		"gzip without its checksum":    {good[:len(good)-8], "unexpected EOF"},
		"gzip with a wrong checksum":   {append(bytes.Clone(good[:len(good)-8]), 1, 2, 3, 4, 5, 6, 7, 8), "invalid checksum"},
		"garbage after the gzip":       {append(bytes.Clone(good), "garbage"...), "unexpected EOF"},
		"more garbage after the gzip":  {append(bytes.Clone(good), "garbage of more than ten bytes"...), "invalid header"},
		"zeros after the gzip":         {append(bytes.Clone(good), make([]byte, 64)...), "invalid header"},
		"a second gzip member":         {append(bytes.Clone(good), gzipOf(t, []byte("more"))...), "padding"},
		"a second whole archive":       {append(bytes.Clone(good), good...), "padding"},
		"no end of the tar":            {gzipOf(t, tarOf(t, files...)[:3*1024]), "padding"},
		"a tar cut in a file":          {gzipOf(t, tarOf(t, files...)[:514]), "unexpected EOF"},
		"more padding":                 {gzipOf(t, append(tarOf(t, files...), make([]byte, 8192)...)), "padding"},
		"data after the tar":           {gzipOf(t, append(tarOf(t, files...), "secret"...)), "padding"},
		"a second tar":                 {gzipOf(t, append(tarOf(t, files...), tarOf(t, files...)...)), "padding"},

		"an empty tar":              {gzipOf(t, tarOf(t)), "does not end with manifests/kustomization.yaml"},
		"no kustomization":          {gzipOf(t, tarOf(t, a, b)), "does not end with manifests/kustomization.yaml"},
		"the kustomization first":   {gzipOf(t, tarOf(t, k, a, b)), "does not end with manifests/kustomization.yaml"},
		"a second kustomization":    {gzipOf(t, tarOf(t, a, b, k, k)), "unexpected file"},
		"a file missing":            {gzipOf(t, tarOf(t, a, k)), "does not list exactly its files"},
		"a file more":               {gzipOf(t, tarOf(t, a, b, regular("manifests/default-c.yaml", "c"), k)), "does not list exactly its files"},
		"a file after the end":      {gzipOf(t, tarOf(t, a, b, k, regular("manifests/default-c.yaml", "c"))), "does not end with"},
		"files in another order":    {gzipOf(t, tarOf(t, b, a, k)), `"manifests/default-a.yaml" is out of order`},
		"a file twice":              {gzipOf(t, tarOf(t, a, a, b, k)), `"manifests/default-a.yaml" is out of order`},
		"an empty file":             {gzipOf(t, tarOf(t, regular("manifests/default-a.yaml", ""), b, k)), `"manifests/default-a.yaml" is empty`},
		"an empty kustomization":    {gzipOf(t, tarOf(t, a, b, regular("manifests/kustomization.yaml", ""))), "does not list exactly its files"},
		"a kustomization with more": {gzipOf(t, tarOf(t, a, b, regular("manifests/kustomization.yaml", kustomizationOfTwo+"  - https://example.org/evil\n"))), "does not list exactly its files"},
		"a kustomization with less": {gzipOf(t, tarOf(t, a, b, regular("manifests/kustomization.yaml", strings.Replace(kustomizationOfTwo, "  - default-a.yaml\n", "", 1)))), "does not list exactly its files"},
		"another namespace's":       {gzipOf(t, tarOf(t, a, b, regular("manifests/kustomization.yaml", strings.Replace(kustomizationOfTwo, `"default"`, `"other"`, 1)))), "does not list exactly its files"},

		"a name out of the folder":  {renamed("manifests/../default-a.yaml"), "unexpected file"},
		"a name of the parent":      {renamed("../manifests/default-a.yaml"), "unexpected file"},
		"a name in a folder":        {renamed("manifests/default-a/b.yaml"), "unexpected file"},
		"a name that climbs":        {renamed("manifests/default-../../../etc/passwd.yaml"), "unexpected file"},
		"an absolute name":          {renamed("/manifests/default-a.yaml"), "unexpected file"},
		"a name with ./":            {renamed("./manifests/default-a.yaml"), "unexpected file"},
		"a name with a backslash":   {renamed(`manifests\default-a.yaml`), "unexpected file"},
		"a backslash in the name":   {renamed(`manifests/default-..\a.yaml`), "unexpected file"},
		"another namespace's file":  {renamed("manifests/other-a.yaml"), "unexpected file"},
		"no resource's name":        {renamed("manifests/default-.yaml"), "unexpected file"},
		"a name in capitals":        {renamed("manifests/default-A.yaml"), "unexpected file"},
		"a name with a new line":    {renamed("manifests/default-a.yaml\n  - b.yaml"), "unexpected file"},
		"a name that is too long":   {renamed("manifests/default-" + strings.Repeat("a", 64) + ".yaml"), "unexpected file"},
		"a name of another kind":    {renamed("manifests/default-a.json"), "unexpected file"},
		"a file outside the folder": {renamed("default-a.yaml"), "unexpected file"},
		"a file without a name":     {renamed(""), "unexpected file"},

		"a symbolic link":    {with(link(tar.TypeSymlink, "/etc/passwd")), "neither a file nor a folder"},
		"a hard link":        {with(link(tar.TypeLink, "manifests/default-a.yaml")), "neither a file nor a folder"},
		"a device":           {with(link(tar.TypeChar, "")), "neither a file nor a folder"},
		"a pipe":             {with(link(tar.TypeFifo, "")), "neither a file nor a folder"},
		"a contiguous file":  {with(link(tar.TypeCont, "")), "neither a file nor a folder"},
		"a folder":           {with(member{tar.Header{Typeflag: tar.TypeDir, Name: "manifests/", Mode: 0o755}, ""}), "a folder"},
		"a global header":    {with(member{tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "x"}}, ""}), "neither a file nor a folder"},
		"another mode":       {changed(0, func(h *tar.Header) { h.Mode = 0o755 }), "a header"},
		"a setuid bit":       {changed(1, func(h *tar.Header) { h.Mode = 0o4644 }), "a header"},
		"an owner":           {changed(0, func(h *tar.Header) { h.Uid = 1000 }), "a header"},
		"a group":            {changed(0, func(h *tar.Header) { h.Gid = 1000 }), "a header"},
		"an owner's name":    {changed(0, func(h *tar.Header) { h.Uname = "root" }), "a header"},
		"a group's name":     {changed(0, func(h *tar.Header) { h.Gname = "root" }), "a header"},
		"a time":             {changed(2, func(h *tar.Header) { h.ModTime = time.Unix(1_785_585_600, 0) }), "a header"},
		"a fraction of time": {changed(0, func(h *tar.Header) { h.Format, h.ModTime = tar.FormatPAX, time.Unix(0, 1000) }), "a header"},
		"GNU format":         {changed(0, func(h *tar.Header) { h.Format = tar.FormatGNU }), "a header"},
		"PAX, a comment":     {changed(0, func(h *tar.Header) { h.PAXRecords = map[string]string{"comment": "x"} }), "a header"},
		"PAX, a vendor's":    {changed(0, func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "x"} }), "a header"},
		"PAX, a name for a name that needs none": {
			gzipOf(t, tarOf(t, a.with(func(h *tar.Header) { h.Format, h.PAXRecords = tar.FormatPAX, map[string]string{"VENDOR.x": "y"} }), b, k)), "a header"},

		"a sparse file of exabytes":     {gzipOf(t, sparseGNU()), "neither a file nor a folder"},
		"a PAX sparse file of exabytes": {gzipOf(t, sparsePAX("4611686018427387904")), "archive too large"},
		"a PAX sparse file of 1 MiB":    {gzipOf(t, sparsePAX("1048576")), "does not end with"},
		"a PAX sparse file below zero":  {gzipOf(t, sparsePAX("-1")), "invalid tar header"},
		"a size of 8 GiB":               {gzipOf(t, header('0', "ustar\x0000", "77777777777\x00")), "archive too large"},
		"a size of exabytes":            {gzipOf(t, header('0', "ustar\x0000", "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff")), "archive too large"},
		"a size below zero":             {gzipOf(t, header('0', "ustar\x0000", strings.Repeat("\xff", 12))), "invalid tar header"},
		"a size and no data":            {gzipOf(t, header('0', "ustar\x0000", "00000001000\x00")), "EOF"},
		"a wrong checksum":              {gzipOf(t, append([]byte("M"), tarOf(t, files...)[1:]...)), "invalid tar header"},
		"a PAX header of a gigabyte":    {gzipOf(t, header('x', "ustar\x0000", "10000000000\x00")), "archive:"},
		"a GNU long name of a gigabyte": {gzipOf(t, header('L', "ustar  \x00", "10000000000\x00")), "archive:"},
		"less content than allowed":     {zeros(t, 1<<20), "does not end with manifests/kustomization.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := catalog.Unpack("default", c.archive)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if got != nil {
				t.Errorf("it returned %d entries with its error", len(got))
			}
			if strings.Contains(c.want, "too large") != errors.Is(err, catalog.ErrTooLarge) {
				t.Errorf("%v: is ErrTooLarge: %t", err, errors.Is(err, catalog.ErrTooLarge))
			}
		})
	}
}

// It measures the whole process, so it does not run beside others.
func TestUnpackAllocatesNoMoreThanItsBound(t *testing.T) {
	for name, c := range map[string]struct {
		archive  []byte
		tooLarge bool
		bound    uint64
	}{
		"as much as is allowed":         {zeros(t, catalog.MaxBytes-1536), false, catalog.MaxBytes + 4<<20},
		"a size of 8 GiB and no data":   {gzipOf(t, header('0', "ustar\x0000", "77777777777\x00")), true, 4 << 20},
		"a sparse file of exabytes":     {gzipOf(t, sparseGNU()), false, 4 << 20},
		"a PAX sparse file of exabytes": {gzipOf(t, sparsePAX("4611686018427387904")), true, 4 << 20},
		"a bomb after the tar's end":    {gzipOf(t, append(tarOf(t, two()...), make([]byte, catalog.MaxBytes)...)), true, 4 << 20},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := catalog.Unpack("default", c.archive)
		runtime.ReadMemStats(&after)
		if err == nil || errors.Is(err, catalog.ErrTooLarge) != c.tooLarge {
			t.Errorf("%s: error %v, want ErrTooLarge: %t", name, err, c.tooLarge)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > c.bound {
			t.Errorf("%s: %d bytes allocated, want at most %d", name, got, c.bound)
		}
	}
}

func TestUnpackRefusesWhatIsNoNamespace(t *testing.T) {
	t.Parallel()
	archive := pack(t, "default", numberedEntries(t, "default", 1))
	for _, namespace := range []string{"", "Default", "../default", "other", "default-resource"} {
		if got, err := catalog.Unpack(namespace, archive); err == nil || got != nil {
			t.Errorf("%q: got %d entries, error %v", namespace, len(got), err)
		}
	}
}
