package manifest

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// document is one document of a file; root is nil when it is empty.
type document struct {
	number int
	root   *yaml.Node
}

// documents splits a file into its documents. Files that are JSON all through
// are read as JSON, because YAML does not know all of JSON's escapes.
func documents(file string, data []byte) ([]document, error) {
	if !utf8.Valid(data) {
		return nil, Invalid{{Source: Source{File: file}, Detail: "is not UTF-8 text"}}
	}
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		if docs, err := jsonDocuments(data); err == nil {
			return docs, nil
		}
		// A YAML flow mapping begins like JSON, too: YAML has the last word.
	}
	return yamlDocuments(file, data)
}

func yamlDocuments(file string, data []byte) ([]document, error) {
	var docs []document
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for number := 1; ; number++ {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, Invalid{syntaxFault(Source{File: file, Document: number}, err)}
		}
		doc := document{number: number}
		if len(node.Content) == 1 && !isNull(node.Content[0]) {
			doc.root = node.Content[0]
		}
		docs = append(docs, doc)
	}
}

var yamlErrorLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// syntaxFault moves the line out of the message of a YAML error.
func syntaxFault(at Source, err error) Fault {
	text := err.Error()
	if m := yamlErrorLine.FindStringSubmatch(text); m != nil {
		at.Line, _ = strconv.Atoi(m[1]) // no digits: no line is known
		text = strings.TrimPrefix(text, m[0])
	}
	return Fault{Source: at, Detail: "is neither YAML nor JSON: " + text}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }
