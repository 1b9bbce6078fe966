package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"gitops-squared.io/gsq/api"
)

// recorder notes what a handler answers.
type recorder struct {
	http.ResponseWriter
	status int // 0 until the header is written
	bytes  int64
	stream bool // it does not end by itself, so its duration says nothing
	done   func()
}

// streaming says that an answer is a stream: it is no request in flight any
// more.
func streaming(w http.ResponseWriter) {
	if rec, ok := w.(*recorder); ok && !rec.stream {
		rec.stream = true
		rec.done()
	}
}

func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 && status >= 200 {
		rec.status = status
	}
	rec.ResponseWriter.WriteHeader(status)
}

func (rec *recorder) Write(p []byte) (int, error) {
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	n, err := rec.ResponseWriter.Write(p)
	rec.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// identify gives each request an id, which the answer repeats.
func (s *Server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(requestIDHeader, requestID(r.Header.Get(requestIDHeader)))
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// observe counts and logs each request when it is answered.
func (s *Server) observe(m *metrics, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w, done: m.inFlight.Dec}
		m.inFlight.Inc()
		defer func() {
			if !rec.stream {
				rec.done()
			}
			if rec.status == 0 {
				rec.status = http.StatusOK // net/http answers for a handler that wrote nothing
			}
			took := time.Since(began)
			route := routeOf(r.Pattern) // the mux has noted it
			m.observe(route, r.Method, rec.status, took, rec.stream)
			s.log.LogAttrs(r.Context(), levelOf(route, rec.status), "request",
				slog.String("method", r.Method), slog.String("route", route), slog.Int("status", rec.status),
				slog.Duration("duration", took), slog.Int64("bytes", rec.bytes), slog.String("id", w.Header().Get(requestIDHeader)))
		}()
		next.ServeHTTP(rec, r)
	})
}

// routeOf is a pattern of the mux without its method.
func routeOf(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return path
	}
	if pattern == "" {
		return "none"
	}
	return pattern
}

// levelOf keeps what probes, scrapers and registry clients do out of the
// normal log, unless it failed.
func levelOf(route string, status int) slog.Level {
	if status >= 500 && route != "/readyz" {
		return slog.LevelWarn
	}
	switch route {
	case "/healthz", "/livez", "/readyz", "/metrics", "/v2/":
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// rescue answers a request whose handler panicked, and logs the stack. If the
// answer had begun, the connection is closed, so that nobody takes half an
// answer for a whole one.
func (s *Server) rescue(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler {
				panic(cause)
			}
			s.log.ErrorContext(r.Context(), "a request made the server panic",
				"method", r.Method, "path", r.URL.Path, "id", w.Header().Get(requestIDHeader),
				"cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
			if rec, ok := w.(*recorder); ok && rec.status != 0 {
				panic(http.ErrAbortHandler)
			}
			newProblem(api.CodeInternal, "The request met a defect; the server's log has it under this request's id.").write(w)
		}()
		next.ServeHTTP(w, r)
	})
}
