// Package diff compares what was declared at two moments: field by field, and
// as text.
package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Change is one field that differs. From and To are JSON values as
// encoding/json decodes them, numbers as json.Number; nil where the field is
// absent, or null, which counts as absent.
type Change struct {
	Path     string // JSON pointer (RFC 6901)
	From, To any
}

// Fields compares two values by their JSON and returns the fields that differ,
// sorted as a reader meets them: members of objects by name, items of arrays
// by place. What only one side has is listed field by field. It fails for
// values that JSON cannot hold.
func Fields(from, to any) ([]Change, error) {
	a, err := plain(from)
	if err != nil {
		return nil, err
	}
	b, err := plain(to)
	if err != nil {
		return nil, err
	}
	return compare(nil, "", a, b), nil
}

// plain is a value as JSON has it.
func plain(v any) (any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("diff: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // two numbers are the same if they are written so
	var out any
	if err := d.Decode(&out); err != nil {
		return nil, fmt.Errorf("diff: %w", err)
	}
	return out, nil
}

func compare(found []Change, path string, a, b any) []Change {
	if members := membersOf(a, b); len(members) > 0 {
		x, _ := a.(map[string]any)
		y, _ := b.(map[string]any)
		for _, name := range members {
			found = compare(found, path+"/"+escape(name), x[name], y[name])
		}
		return found
	}
	if n := itemsOf(a, b); n > 0 {
		x, _ := a.([]any)
		y, _ := b.([]any)
		for i := range n {
			found = compare(found, path+"/"+strconv.Itoa(i), item(x, i), item(y, i))
		}
		return found
	}
	if reflect.DeepEqual(a, b) {
		return found
	}
	return append(found, Change{Path: path, From: a, To: b})
}

// membersOf lists the members of two objects, of which one may be absent.
func membersOf(a, b any) []string {
	x, isX := a.(map[string]any)
	y, isY := b.(map[string]any)
	if !isX && a != nil || !isY && b != nil {
		return nil
	}
	names := slices.AppendSeq(slices.Collect(maps.Keys(x)), maps.Keys(y))
	slices.Sort(names)
	return slices.Compact(names)
}

// itemsOf is the length of the longer of two arrays, of which one may be
// absent.
func itemsOf(a, b any) int {
	x, isX := a.([]any)
	y, isY := b.([]any)
	if !isX && a != nil || !isY && b != nil {
		return 0
	}
	return max(len(x), len(y))
}

func item(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// escape writes a name as a part of a JSON pointer (RFC 6901, section 3).
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
