package intent

import (
	"fmt"

	"sigs.k8s.io/yaml"
)

// declaration is a manifest without what the ledger adds to it.
type declaration struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
	Spec Spec `json:"spec"`
}

// Declaration returns the YAML in which somebody would declare a resource: its
// manifest without version, times and labels. Two declarations are the same
// exactly if they mean the same.
func Declaration(ref Ref, spec Spec) ([]byte, error) {
	d := declaration{APIVersion: APIVersion, Kind: Kind, Spec: spec}
	d.Metadata.Name, d.Metadata.Namespace = ref.Name, ref.Namespace
	data, err := yaml.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("declaration of %s: %w", ref, err)
	}
	return data, nil
}
