// Package server is the HTTP side of gsq: the API with its OpenAPI description,
// health, metrics and documentation, and the embedded registry beside them.
package server

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

// Options of a server. Ledger, Schema and Prefix are required.
type Options struct {
	Ledger Ledger
	Schema *intent.Schema // what requests are checked with; the ledger's own
	Prefix string         // of all repositories, without a slash at the end

	// Registry serves /v2/, when the registry is embedded; else nil.
	Registry http.Handler
	// RegistryHost is where Flux finds the registry, host and port, and
	// RegistryInsecure says that it is plain HTTP. They are only answered.
	RegistryHost     string
	RegistryInsecure bool

	Streams   int           // event streams that may be open at once; default 1,000
	Heartbeat time.Duration // pause between the comments of an event stream; default 15 s

	Version    string                 // of the program
	Collectors []prometheus.Collector // more metrics for /metrics
	Log        *slog.Logger           // default slog.Default()
	Now        func() time.Time       // default time.Now
}

// Server is an http.Handler.
type Server struct {
	ledger           Ledger
	layout           artifact.Layout
	registryHost     string
	registryInsecure bool
	log              *slog.Logger
	now              func() time.Time
	draining         atomic.Bool
	lists            listCache
	connections      *connections
	streams          *streams
	heartbeat        time.Duration
	bodies           *budget       // by namespace
	uploads          *budget       // by repository
	checking         chan struct{} // has room for each large body that may be checked now
	past             chan struct{} // has room for each reader of the history

	special   map[string]func(*http.Request, *value) []api.Fault // by operation: faults that no schema finds
	contracts map[string]*contract                               // by operation

	mux     *http.ServeMux
	handler http.Handler
}

var errDraining = errors.New("the server is stopping")

// New builds a server. It fails on options that are missing, and on a schema
// that the API cannot check requests with.
func New(o Options) (*Server, error) {
	if o.Ledger == nil || o.Schema == nil || o.Prefix == "" {
		return nil, errors.New("server: ledger, schema and prefix are required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Streams == 0 {
		o.Streams = defaultStreams
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = defaultHeartbeat
	}
	connections := newConnections(o.Streams)
	s := &Server{
		ledger: o.Ledger, layout: artifact.Layout{Prefix: o.Prefix},
		registryHost: o.RegistryHost, registryInsecure: o.RegistryInsecure,
		log: o.Log, now: o.Now,
		special: map[string]func(*http.Request, *value) []api.Fault{
			"apply": applyFaults, "put-resource": putFaults, "put-namespaced-resource": putFaults,
		},
		contracts: map[string]*contract{},
		lists:     listCache{lists: map[string]*encodedList{}},

		connections: connections,
		streams:     newStreams(connections.streams),
		heartbeat:   o.Heartbeat,
		bodies:      newBudget(heldBodyBytes),
		uploads:     newBudget(heldTransferBytes),
		checking:    make(chan struct{}, runtime.GOMAXPROCS(0)),
		past:        make(chan struct{}, pastVisitors),

		mux: http.NewServeMux(),
	}
	described, err := s.newAPI(s.mux, o.Schema, o.Version)
	if err != nil {
		return nil, err
	}
	s.addOperations(described)
	if err := s.addDocumentation(described.OpenAPI()); err != nil {
		return nil, err
	}
	metrics, err := newMetrics(o.Ledger, o.Version, slices.Concat(s.connections.collectors(), s.streams.collectors(), o.Collectors))
	if err != nil {
		return nil, err
	}
	s.mux.Handle("GET /metrics", metrics.handler())
	if o.Registry != nil {
		s.mux.Handle("/v2/", transfers(s.limitUploads(o.Registry)))
	}
	s.handler = s.identify(s.observe(metrics, s.rescue(s.limit(http.HandlerFunc(s.route)))))
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Drain makes /readyz answer 503, so that no new callers are sent here, and
// ends the event streams, which would not end by themselves. Everything else
// goes on as before.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.streams.end()
}
