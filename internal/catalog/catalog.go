// Package catalog packs the live resources of one namespace into the archive
// that Flux applies, and unpacks it again. The archive is a pure function of
// the resources: same resources, same bytes, on any machine. It knows no OCI.
package catalog

import (
	"archive/tar"
	"cmp"
	"fmt"
	"io"
	"slices"

	"gitops-squared.io/gsq/internal/intent"
)

// MaxBytes bounds what Unpack unpacks.
const MaxBytes = 64 << 20

// Folder holds the manifests and the kustomization inside the archive.
const Folder = "manifests"

const kustomizationName = Folder + "/kustomization.yaml"

// Entry is one resource's manifest.
type Entry struct {
	Name string // of the resource
	YAML []byte // its canonical manifest
}

// Pack returns the archive: a tar of manifests/<namespace>-<name>.yaml in the
// order of the resources' names, then manifests/kustomization.yaml, compressed
// with gzip in several members. Owners, times and modes are constants. Entries
// may come in any order; two of one name, one whose name is no DNS-1123 label,
// or one without content (which Flux drops silently), are errors.
func Pack(namespace string, entries []Entry) ([]byte, error) {
	sorted := slices.SortedFunc(slices.Values(entries), func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	archive, _, err := new(Packer).Pack(namespace, sorted, nil)
	return archive, err
}

// writeTar writes what Pack compresses, all of it and with archive/tar.
func writeTar(w io.Writer, namespace string, sorted []Entry) error {
	tw := tar.NewWriter(w)
	write := func(name string, data []byte) error {
		// Without a format, tar takes USTAR, and PAX where a name is too long for it.
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err := tw.Write(data)
		return err
	}
	for _, e := range sorted {
		if err := write(fileName(namespace, e.Name), e.YAML); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	if err := write(kustomizationName, kustomization(namespace, sorted)); err != nil {
		return err
	}
	return tw.Close()
}

// fileName cannot clash: the namespace is the same for all, and the
// kustomization's name has no dash.
func fileName(namespace, name string) string {
	return Folder + "/" + namespace + "-" + name + ".yaml"
}

// kustomization lists the manifests.
func kustomization(namespace string, sorted []Entry) []byte {
	b := kustomizationHead(namespace, len(sorted) == 0)
	for _, e := range sorted {
		b = appendLine(b, namespace, e.Name)
	}
	return b
}

// kustomizationHead is what comes before the manifests. The namespace is the
// one that they have anyway; it stands there for the catalog of a namespace
// whose last resource was deleted, which must be applied, or nothing would be
// pruned. Flux rewrites each kustomization and loses an empty list; kustomize
// refuses what says nothing then, and only from Flux 2.3 on does the rewriting
// add something to say.
func kustomizationHead(namespace string, empty bool) []byte {
	head := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: \"" + namespace + "\"\nresources:"
	if empty {
		head += " []"
	}
	return []byte(head + "\n")
}

func appendLine(b []byte, namespace, name string) []byte {
	b = append(append(append(b, "  - "...), namespace...), '-')
	return append(append(b, name...), ".yaml\n"...)
}

// Resources parses the entries. Each must be the canonical manifest of the
// resource that its entry and the namespace name.
func Resources(namespace string, entries []Entry) ([]intent.Resource, error) {
	out := make([]intent.Resource, len(entries))
	for i, e := range entries {
		r, err := intent.Parse(e.YAML)
		if err != nil {
			return nil, fmt.Errorf("catalog of %s: %s: %w", namespace, e.Name, err)
		}
		if r.Ref != (intent.Ref{Namespace: namespace, Name: e.Name}) {
			return nil, fmt.Errorf("catalog of %s: the file of %s holds %s", namespace, e.Name, r.Ref)
		}
		out[i] = r
	}
	return out, nil
}
