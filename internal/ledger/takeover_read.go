package ledger

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// oldObject is an object that the proof of concept's catalog declares live.
type oldObject struct {
	name   string
	spec   intent.Spec
	faults intent.Invalid // why it cannot be published; empty if it can
}

func (o oldObject) ref() intent.Ref {
	return intent.Ref{Namespace: artifact.DefaultNamespace, Name: o.name}
}

// oldObjects returns the catalog's objects, sorted by name, each validated.
func (l *Ledger) oldObjects(archive []byte) ([]oldObject, error) {
	files, err := catalog.Files(archive)
	if err != nil {
		return nil, fmt.Errorf("the old catalog: %w", err)
	}
	var objects []oldObject
	kustomized := false
	for _, f := range files {
		name := strings.TrimPrefix(f.Name, "./")
		if name == catalog.Folder+"/kustomization.yaml" {
			kustomized = true
			continue
		}
		if !strings.HasPrefix(name, catalog.Folder+"/") || !strings.HasSuffix(name, ".yaml") {
			return nil, fmt.Errorf("the old catalog holds %q, which is no manifest", f.Name)
		}
		objects = append(objects, l.oldObject(strings.TrimPrefix(name, catalog.Folder+"/"), f.Data))
	}
	if !kustomized {
		return nil, errors.New("the old catalog holds no kustomization: it is not one that the proof of concept wrote")
	}
	slices.SortStableFunc(objects, func(a, b oldObject) int { return cmp.Compare(a.name, b.name) })
	for i := 1; i < len(objects); i++ {
		if objects[i].name == objects[i-1].name {
			return nil, fmt.Errorf("the old catalog holds %q twice", objects[i].name)
		}
	}
	return objects, nil
}

// oldObject reads one manifest. What cannot be read gets the file's name.
func (l *Ledger) oldObject(file string, data []byte) oldObject {
	spec, name, err := l.oldSpec(data)
	if name == "" {
		name = file
	}
	o := oldObject{name: name, spec: spec}
	if err != nil && !errors.As(err, &o.faults) {
		o.faults = intent.Invalid{{Detail: err.Error()}}
	}
	return o
}

// oldSpec reads the manifest of a resource as the proof of concept wrote it:
// any PlatformResource of the default namespace. Fields that would be lost are
// errors.
func (l *Ledger) oldSpec(data []byte) (intent.Spec, string, error) {
	var m struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name        string            `json:"name"`
			Namespace   string            `json:"namespace"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
		Spec json.RawMessage `json:"spec"`
	}
	if err := yaml.UnmarshalStrict(data, &m); err != nil {
		return intent.Spec{}, m.Metadata.Name, fmt.Errorf("its manifest cannot be read: %w", err)
	}
	name := m.Metadata.Name
	if m.APIVersion != intent.APIVersion || m.Kind != intent.Kind || m.Metadata.Namespace != artifact.DefaultNamespace {
		return intent.Spec{}, name, fmt.Errorf("it is %s %s in namespace %q, want %s %s in namespace %q",
			m.APIVersion, m.Kind, m.Metadata.Namespace, intent.APIVersion, intent.Kind, artifact.DefaultNamespace)
	}
	var spec intent.Spec
	d := json.NewDecoder(bytes.NewReader(m.Spec))
	d.DisallowUnknownFields()
	if err := d.Decode(&spec); err != nil {
		return intent.Spec{}, name, fmt.Errorf("its spec cannot be read: %w", err)
	}
	complete, err := l.o.Schema.Complete(intent.Ref{Namespace: artifact.DefaultNamespace, Name: name}, spec)
	return complete, name, err
}

// oldHistory is what the registry has of an object besides the catalog.
type oldHistory struct {
	newest       *artifact.VersionRef
	created      intent.Version // of the oldest version; zero if there is none
	valid        *intent.Spec   // of the newest version that is valid
	validVersion string
}

// oldHistory reads an object's repository. An object whose name no repository
// can have has no history.
func (l *Ledger) oldHistory(ctx context.Context, obj oldObject) (oldHistory, error) {
	var h oldHistory
	if intent.ValidateNamespace(obj.name) != nil { // the same rule: a DNS-1123 label
		return h, nil
	}
	repo := l.layout.Resource(obj.ref())
	newest, err := get(ctx, l.o.Registry, repo, artifact.Latest)
	if errors.Is(err, registry.ErrNotFound) {
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("reading %s: %w", repo, err)
	}
	h.newest = &artifact.VersionRef{Version: marks(newest)[artifact.AnnotationVersion], Digest: newest.Manifest.Digest}
	tags, err := l.oldVersions(ctx, repo)
	if err != nil {
		return h, err
	}
	if len(tags) > 0 {
		h.created = intent.Version(tags[0] * 1_000_000)
	}
	if len(obj.faults) == 0 {
		return h, nil
	}
	for _, seconds := range slices.Backward(tags) {
		tag := "v" + strconv.FormatInt(seconds, 10)
		a, err := get(ctx, l.o.Registry, repo, tag)
		if err != nil {
			return h, fmt.Errorf("reading %s of %s: %w", tag, repo, err)
		}
		if len(a.Blobs) != 2 || marks(a)[artifact.AnnotationDeleted] == "true" {
			continue
		}
		if spec, name, err := l.oldSpec(a.Blobs[1].Data); err == nil && name == obj.name {
			h.valid, h.validVersion = &spec, tag
			break
		}
	}
	return h, nil
}

// oldVersions returns the Unix seconds of a repository's version tags, sorted.
func (l *Ledger) oldVersions(ctx context.Context, repo string) ([]int64, error) {
	const page = 1000
	var versions []int64
	for last := ""; ; {
		ctx, cancel := context.WithTimeout(ctx, readTimeout)
		tags, err := l.o.Registry.Tags(ctx, repo, last, page)
		cancel()
		if err != nil {
			return nil, fmt.Errorf("listing the tags of %s: %w", repo, err)
		}
		for _, tag := range tags {
			last = tag
			digits, ok := strings.CutPrefix(tag, "v")
			if seconds, err := strconv.ParseInt(digits, 10, 40); ok && err == nil && seconds > 0 {
				versions = append(versions, seconds)
			}
		}
		if len(tags) < page {
			slices.Sort(versions)
			return versions, nil
		}
	}
}

// marks returns an artifact's annotations, the layer's over the manifest's.
func marks(a registry.Artifact) map[string]string {
	var m struct {
		Annotations map[string]string `json:"annotations"`
		Layers      []struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"layers"`
	}
	all := map[string]string{}
	if json.Unmarshal(a.Manifest.Data, &m) != nil {
		return all
	}
	for k, v := range m.Annotations {
		all[k] = v
	}
	for _, layer := range m.Layers {
		for k, v := range layer.Annotations {
			all[k] = v
		}
	}
	return all
}

// outside lists the live resource repositories that the catalog does not name.
func (l *Ledger) outside(ctx context.Context, objects []oldObject) ([]string, error) {
	lister, ok := l.o.Registry.(registry.Lister)
	if !ok {
		return nil, nil
	}
	named := map[string]bool{}
	for _, obj := range objects {
		named[l.layout.Resource(obj.ref())] = true
	}
	const page = 1000
	var out []string
	under := l.layout.Prefix + "/resources/"
	for last := under; ; {
		repos, err := lister.Repositories(ctx, last, page)
		if errors.Is(err, registry.ErrUnsupported) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("listing repositories: %w", err)
		}
		for _, repo := range repos {
			if last = repo; !strings.HasPrefix(repo, under) || named[repo] {
				continue
			}
			a, err := get(ctx, l.o.Registry, repo, artifact.Latest)
			if errors.Is(err, registry.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", repo, err)
			}
			if marks(a)[artifact.AnnotationDeleted] != "true" {
				out = append(out, repo)
			}
		}
		if len(repos) < page {
			return out, nil
		}
	}
}
