package server

import (
	"fmt"
	"slices"
	"strings"
)

// etagOf is the entity tag of a resource whose artifact has the digest.
func etagOf(digest string) string { return `"` + digest + `"` }

// conditions is the value of If-Match or If-None-Match (RFC 9110, section
// 13.1).
type conditions struct {
	any  bool // "*"
	tags []entityTag
}

type entityTag struct {
	value string // without its quotes
	weak  bool
}

// parseConditions reads a header's value. Empty gives none.
func parseConditions(header string) (conditions, error) {
	rest := strings.Trim(header, " \t")
	if rest == "*" {
		return conditions{any: true}, nil
	}
	var c conditions
	for rest != "" {
		tag, after, err := nextTag(rest)
		if err != nil {
			return conditions{}, err
		}
		c.tags = append(c.tags, tag)
		after = strings.TrimLeft(after, " \t")
		if after != "" && after[0] != ',' {
			return conditions{}, fmt.Errorf("entity tags must be separated by commas")
		}
		rest = strings.TrimLeft(after, " \t,")
	}
	return c, nil
}

func nextTag(s string) (entityTag, string, error) {
	value, weak := strings.CutPrefix(s, "W/")
	if !strings.HasPrefix(value, `"`) {
		return entityTag{}, "", fmt.Errorf(`must be * or entity tags in double quotes, such as "sha256:…", not %s`, excerpt(s))
	}
	value, after, closed := strings.Cut(value[1:], `"`)
	if !closed {
		return entityTag{}, "", fmt.Errorf("an entity tag lacks its closing quote")
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return entityTag{}, "", fmt.Errorf("an entity tag holds spaces or control characters")
	}
	return entityTag{value, weak}, after, nil
}

func (c conditions) empty() bool { return !c.any && len(c.tags) == 0 }

// matchStrong compares as If-Match does: a weak tag matches nothing.
func (c conditions) matchStrong(digest string) bool {
	return c.any || slices.Contains(c.tags, entityTag{value: digest})
}

// matchWeak compares as If-None-Match does: weak or not is the same.
func (c conditions) matchWeak(digest string) bool {
	return c.any || slices.ContainsFunc(c.tags, func(t entityTag) bool { return t.value == digest })
}
