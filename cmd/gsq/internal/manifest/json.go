package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds nesting; no declaration needs more than a handful of levels.
const maxDepth = 64

// jsonDocuments reads one or more JSON values into nodes, so that the rest of
// the package has one form to check. Keys stay in order, duplicates included.
func jsonDocuments(data []byte) ([]document, error) {
	r := &jsonReader{decoder: json.NewDecoder(bytes.NewReader(data))}
	r.decoder.UseNumber()
	for i, c := range data {
		if c == '\n' {
			r.newlines = append(r.newlines, i)
		}
	}
	var docs []document
	for {
		node, err := r.value(0)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		doc := document{number: len(docs) + 1}
		if !isNull(node) {
			doc.root = node
		}
		docs = append(docs, doc)
	}
}

type jsonReader struct {
	decoder  *json.Decoder
	newlines []int // offsets, to tell lines
}

// value reads the next value. At the end of the input it returns io.EOF.
func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	token, err := r.decoder.Token()
	if err != nil {
		return nil, err
	}
	// The offset is that of the token's end, and a token has no line breaks.
	line := 1 + sort.SearchInts(r.newlines, int(r.decoder.InputOffset())-1)
	scalar := func(tag, value string) (*yaml.Node, error) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value, Line: line}, nil
	}
	switch t := token.(type) {
	case json.Delim:
		return r.composite(t, line, depth)
	case string:
		return scalar("!!str", t)
	case json.Number:
		if strings.ContainsAny(t.String(), ".eE") {
			return scalar("!!float", t.String())
		}
		return scalar("!!int", t.String())
	case bool:
		return scalar("!!bool", fmt.Sprint(t))
	default:
		return scalar("!!null", "null")
	}
}

func (r *jsonReader) composite(open json.Delim, line, depth int) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: line}
	if open == '{' {
		node.Kind, node.Tag = yaml.MappingNode, "!!map"
	}
	for r.decoder.More() {
		// In an object this reads keys and values in turn.
		child, err := r.value(depth + 1)
		if errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		node.Content = append(node.Content, child)
	}
	if _, err := r.decoder.Token(); err != nil { // the closing bracket
		return nil, io.ErrUnexpectedEOF
	}
	return node, nil
}
