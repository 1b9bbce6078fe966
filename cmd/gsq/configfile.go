package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxConfigBytes bounds a configuration file.
const maxConfigBytes = 1 << 20

// configKeys are the keys of a configuration file. All commands that read one
// know all of them, so that they can share it.
func configKeys() []string {
	var keys []string
	for _, s := range serverSettings("") {
		keys = append(keys, s.name)
	}
	return keys
}

// readConfig reads a configuration file: one YAML mapping of known keys, each
// once, to strings. It returns every fault, with its line.
func readConfig(path string) (map[string]string, []error) {
	data, err := readBounded(path, maxConfigBytes)
	if err != nil {
		return nil, []error{fmt.Errorf("configuration: %w", err)}
	}
	values, faults := parseConfig(data)
	for i, fault := range faults {
		faults[i] = fmt.Errorf("%s: %w", path, fault)
	}
	return values, faults
}

func readBounded(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return data, nil
}

func parseConfig(data []byte) (map[string]string, []error) {
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil // an empty file sets nothing
	} else if err != nil {
		return nil, []error{err}
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, []error{errors.New("it must be one YAML document")}
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil // nothing but comments
	}
	if root.Kind != yaml.MappingNode {
		return nil, []error{fmt.Errorf("line %d: it must be a mapping of settings to values", root.Line)}
	}
	known := configKeys()
	values, seen := map[string]string{}, map[string]bool{}
	var faults []error
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			faults = append(faults, fmt.Errorf("line %d: unknown key %q%s; known are %s", key.Line, key.Value, meant(key.Value, known), strings.Join(known, ", ")))
		case seen[key.Value]:
			faults = append(faults, fmt.Errorf("line %d: %s occurs twice", key.Line, key.Value))
		case value.Kind != yaml.ScalarNode || value.Tag != "!!str":
			faults = append(faults, fmt.Errorf("line %d: %s must be a string", value.Line, key.Value))
		default:
			values[key.Value] = value.Value
		}
		seen[key.Value] = true
	}
	return values, faults
}
