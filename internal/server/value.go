package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"gitops-squared.io/gsq/api"
)

// Bounds on a request's body besides api.MaxBodyBytes. They are far above what
// any valid body has.
const (
	maxDepth  = 32
	maxValues = 50_000
)

// kind is a JSON value's type, named as faults name it.
type kind string

const (
	kindObject  kind = "an object"
	kindArray   kind = "an array"
	kindString  kind = "a string"
	kindNumber  kind = "a number"
	kindBoolean kind = "true or false"
	kindNull    kind = "null"
)

// value is a parsed JSON value. Unlike what encoding/json decodes into, it
// keeps the order of members, and numbers as they were written.
type value struct {
	kind    kind
	members []member // of an object, each name once
	items   []*value // of an array
	text    string   // of a string, a number ("1.5"), or "true", "false"
}

type member struct {
	name  string
	value *value
}

// find returns the member's value, or nil.
func (v *value) find(name string) *value {
	for _, m := range v.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// parse reads one JSON value. The error says why data is none (RFC 8259 with
// the bounds above, and text that is Unicode throughout). What is JSON, but
// ambiguous, comes as faults: names that occur twice in one object, of which
// the first is kept.
func parse(data []byte) (*value, []api.Fault, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil, errors.New("the body is empty; it must be a JSON object")
	}
	if !utf8.Valid(data) {
		return nil, nil, fmt.Errorf("the body is not UTF-8, from byte %d on", validPrefix(data))
	}
	if at := loneSurrogate(data); at >= 0 {
		return nil, nil, fmt.Errorf("byte %d: half a surrogate pair is no character", at)
	}
	p := &parser{decoder: json.NewDecoder(bytes.NewReader(data))}
	p.decoder.UseNumber()
	v, err := p.value(nil, 0)
	if err != nil {
		return nil, nil, p.explain(err)
	}
	if _, err := p.decoder.Token(); err != io.EOF {
		return nil, nil, fmt.Errorf("byte %d: the body goes on after its JSON value", p.decoder.InputOffset())
	}
	return v, p.faults, nil
}

type parser struct {
	decoder *json.Decoder
	values  int
	faults  []api.Fault
}

func (p *parser) explain(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("byte %d: %w", syntax.Offset, err)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the body ends in the middle of its JSON value")
	}
	return fmt.Errorf("byte %d: %w", p.decoder.InputOffset(), err)
}

func (p *parser) value(at *pointer, depth int) (*value, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("values are nested more than %d deep", maxDepth)
	}
	if p.values++; p.values > maxValues {
		return nil, fmt.Errorf("there are more than %d values", maxValues)
	}
	token, err := p.decoder.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return p.object(at, depth)
		}
		return p.array(at, depth)
	case string:
		return &value{kind: kindString, text: t}, nil
	case json.Number:
		return &value{kind: kindNumber, text: t.String()}, nil
	case bool:
		return &value{kind: kindBoolean, text: strconv.FormatBool(t)}, nil
	}
	return &value{kind: kindNull}, nil
}

func (p *parser) object(at *pointer, depth int) (*value, error) {
	v := &value{kind: kindObject}
	seen := map[string]bool{}
	for p.decoder.More() {
		token, err := p.decoder.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, errors.New("an object's names must be strings")
		}
		below := pointer{above: at, name: name}
		item, err := p.value(&below, depth+1)
		if err != nil {
			return nil, err
		}
		if seen[name] {
			p.faults = append(p.faults, api.Fault{Pointer: below.String(), Detail: "occurs twice in its object; say it once"})
			continue
		}
		seen[name] = true
		v.members = append(v.members, member{name, item})
	}
	_, err := p.decoder.Token() // the closing brace
	return v, err
}

func (p *parser) array(at *pointer, depth int) (*value, error) {
	v := &value{kind: kindArray}
	for p.decoder.More() {
		item, err := p.value(&pointer{above: at, item: true, index: len(v.items)}, depth+1)
		if err != nil {
			return nil, err
		}
		v.items = append(v.items, item)
	}
	_, err := p.decoder.Token() // the closing bracket
	return v, err
}

// excerpt cuts a text that is quoted in an answer.
func excerpt(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	cut := most
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

func validPrefix(data []byte) int {
	n := 0
	for n < len(data) {
		r, size := utf8.DecodeRune(data[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

// loneSurrogate returns where an escape is half of a surrogate pair, which
// encoding/json would silently replace, or -1.
func loneSurrogate(data []byte) int {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		r, ok := escaped(data[i:])
		switch {
		case !ok:
			i++ // whatever it escapes, it is not the beginning of an escape
		case r >= 0xd800 && r < 0xdc00:
			if low, ok := escaped(data[i+6:]); !ok || low < 0xdc00 || low > 0xdfff {
				return i
			}
			i += 11
		case r >= 0xdc00 && r <= 0xdfff:
			return i
		default:
			i += 5
		}
	}
	return -1
}

// escaped reads \uXXXX at the beginning of data.
func escaped(data []byte) (uint64, bool) {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	r, err := strconv.ParseUint(string(data[2:6]), 16, 16)
	return r, err == nil
}
