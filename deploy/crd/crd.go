// Package crd holds the custom resource definition that the cluster installs
// and that the API validates with: one schema for both.
package crd

import _ "embed"

// PlatformResource is the CustomResourceDefinition, as YAML.
//
//go:embed platformresource.yaml
var PlatformResource []byte
