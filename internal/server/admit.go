package server

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gitops-squared.io/gsq/api"
)

// contract is what an operation's documentation says of its requests,
// compiled.
type contract struct {
	lenient bool             // unknown parameters are passed over
	query   map[string]*rule // by name
	needed  []string         // those that a request must have
	path    []pathParameter
	headers map[string]bool // that the operation reads
	body    *rule           // nil when it has none
	faults  func(r *http.Request, body *value) []api.Fault
}

type pathParameter struct {
	name string
	rule *rule
}

// document is called with every operation that is added to the OpenAPI
// description, and remembers what it promises.
func (s *Server) document(description *huma.OpenAPI, op *huma.Operation) {
	c := &contract{query: map[string]*rule{}, headers: map[string]bool{}, faults: s.special[op.OperationID]}
	c.lenient = slices.Contains(op.Tags, tagHealth)
	registry := description.Components.Schemas
	for _, p := range op.Parameters {
		switch p.In {
		case "query":
			c.query[p.Name] = compile(registry, p.Schema)
			if p.Required {
				c.needed = append(c.needed, p.Name)
			}
		case "path":
			c.path = append(c.path, pathParameter{p.Name, compile(registry, p.Schema)})
		case "header":
			c.headers[p.Name] = true
		}
	}
	slices.SortFunc(c.path, func(a, b pathParameter) int { return strings.Compare(a.name, b.name) })
	if op.RequestBody != nil {
		c.body = compile(registry, op.RequestBody.Content["application/json"].Schema)
	}
	s.contracts[op.OperationID] = c
}

// admit lets a request through to its operation only if nothing is wrong with
// it, and otherwise answers with every fault at once.
func (s *Server) admit(ctx huma.Context, next func(huma.Context)) {
	c := s.contracts[ctx.Operation().OperationID]
	r, w := humago.Unwrap(ctx)
	r.Header.Del("Accept") // every answer is JSON, whatever huma would make of it
	faults := c.parameters(r)
	faults = append(faults, c.preconditions(r)...)
	faults = append(faults, c.actor(r)...)
	var p *problem
	if c.body != nil {
		var found []api.Fault
		var release func()
		found, release, p = s.readBody(w, r, c)
		defer release()
		faults = append(faults, found...)
	}
	switch {
	case p != nil:
		p.with(faults).write(w)
	case len(faults) > 0 && reading(r):
		invalidRead(faults...).write(w)
	case len(faults) > 0:
		invalid(faults).write(w)
	default:
		next(ctx)
	}
}

// parameters checks the query and the path.
func (c *contract) parameters(r *http.Request) []api.Fault {
	var faults []api.Fault
	for _, p := range c.path {
		faults = append(faults, p.rule.parameter(p.name, r.PathValue(p.name))...)
	}
	if c.lenient || r.URL.RawQuery == "" && len(c.needed) == 0 {
		return faults
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		faults = append(faults, api.Fault{Parameter: "?", Detail: "the query cannot be read: " + err.Error()})
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		known, ok := c.query[name]
		switch {
		case !ok:
			faults = append(faults, api.Fault{Parameter: excerpt(name), Detail: "unknown parameter; " + c.knownParameters()})
		case len(query[name]) > 1:
			faults = append(faults, api.Fault{Parameter: name, Detail: fmt.Sprintf("is given %d times; give it once", len(query[name]))})
		default:
			faults = append(faults, known.parameter(name, query.Get(name))...)
		}
	}
	for _, name := range c.needed {
		if !query.Has(name) {
			faults = append(faults, api.Fault{Parameter: name, Detail: "is required"})
		}
	}
	return faults
}

func (c *contract) knownParameters() string {
	if len(c.query) == 0 {
		return "this request has none"
	}
	return "known are " + strings.Join(slices.Sorted(maps.Keys(c.query)), ", ")
}

// parameter checks a value that is written without JSON's quotes.
func (r *rule) parameter(name, text string) []api.Fault {
	v := &value{kind: r.kind, text: text}
	var detail string
	if r.kind == kindBoolean && text != "true" && text != "false" {
		detail = "must be true or false, not " + (&value{kind: kindString, text: text}).quoted()
	} else {
		detail = r.checkScalar(v)
	}
	if detail == "" {
		return nil
	}
	return []api.Fault{{Parameter: name, Detail: detail}}
}

func reading(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// preconditions checks If-Match and If-None-Match, and joins the lines of
// those that are spread over several (RFC 9110, section 5.3). A precondition
// that the operation does not know must not be passed over on a write.
func (c *contract) preconditions(r *http.Request) []api.Fault {
	var faults []api.Fault
	for _, name := range []string{"If-Match", "If-None-Match"} {
		lines := r.Header.Values(name)
		if len(lines) == 0 || reading(r) && !c.headers[name] {
			continue
		}
		if !c.headers[name] {
			faults = append(faults, api.Fault{Header: name, Detail: "is not supported by this request"})
			continue
		}
		joined := strings.Join(lines, ", ")
		parsed, err := parseConditions(joined)
		switch {
		case err != nil:
			faults = append(faults, api.Fault{Header: name, Detail: err.Error()})
		case parsed.empty():
			faults = append(faults, api.Fault{Header: name, Detail: "must not be empty"})
		case name == "If-None-Match" && !reading(r) && !parsed.any:
			faults = append(faults, api.Fault{Header: name, Detail: "only * is supported on a write"})
		}
		r.Header.Set(name, joined)
	}
	return faults
}

// readBody receives and checks the body. release is to be called when the
// request is answered.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, c *contract) (faults []api.Fault, release func(), p *problem) {
	if p := checkMediaType(r.Header); p != nil {
		return nil, func() {}, p
	}
	data, release, p := s.receive(w, r)
	if p != nil {
		return nil, release, p
	}
	if len(data) > freeBodyBytes {
		// What is made of a large body takes many times its size, for as long
		// as it is checked.
		s.checking <- struct{}{}
		defer func() { <-s.checking }()
	}
	faults, p = c.checkBody(r, data)
	return faults, release, p
}

// checkBody checks a body, and leaves it for huma to decode. The problem is
// that of a body which cannot be checked at all.
func (c *contract) checkBody(r *http.Request, data []byte) ([]api.Fault, *problem) {
	body, faults, err := parse(data)
	if err != nil {
		return nil, newProblem(api.CodeMalformed, "The body cannot be read: %v.", err)
	}
	faults = append(faults, c.body.check(body, nil)...)
	if c.faults != nil {
		faults = append(faults, c.faults(r, body)...)
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	r.Header.Set("Content-Type", "application/json") // huma knows it in this writing only
	return faults, nil
}

// checkMediaType accepts JSON, and no header at all, which means JSON.
func checkMediaType(h http.Header) *problem {
	if encoding := h.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return newProblem(api.CodeUnsupportedMediaType, "The body is encoded as %s; send it as it is.", excerpt(encoding))
	}
	sent := h.Get("Content-Type")
	if sent == "" {
		return nil
	}
	mediaType, parameters, err := mime.ParseMediaType(sent)
	charset := parameters["charset"]
	if err != nil || mediaType != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return newProblem(api.CodeUnsupportedMediaType, "The body is sent as %s; send JSON, with the header Content-Type: application/json.", excerpt(sent))
	}
	return nil
}

// putFaults finds a name in the body of a PUT that is not the path's.
func putFaults(r *http.Request, body *value) []api.Fault {
	name := body.find("name")
	if name == nil || name.kind != kindString || name.text == r.PathValue("name") {
		return nil
	}
	return []api.Fault{{Pointer: "/name", Detail: fmt.Sprintf("is %s, but the path says %q", name.quoted(), r.PathValue("name"))}}
}
