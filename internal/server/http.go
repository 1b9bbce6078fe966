package server

import (
	"log/slog"
	"net/http"
	"time"
)

// Time-outs of connections. Those of the registry's transfers suit a large
// blob over a slow line.
const (
	headerTimeout   = 10 * time.Second
	readTimeout     = 30 * time.Second
	writeTimeout    = 60 * time.Second
	idleTimeout     = 2 * time.Minute
	transferTimeout = 15 * time.Minute
	maxHeaderBytes  = 64 << 10
)

// HTTP returns a server with time-outs and bounds on every connection, and on
// their number. It is to be called once.
func (s *Server) HTTP() *http.Server {
	return &http.Server{
		Handler:           s,
		ConnContext:       s.connections.accept,
		ConnState:         s.connections.state,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// transfers gives the requests of a registry the time that they may take.
func transfers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		end := time.Now().Add(transferTimeout)
		// Only a writer without deadlines refuses, as tests have.
		_ = c.SetReadDeadline(end)
		_ = c.SetWriteDeadline(end)
		next.ServeHTTP(w, r)
	})
}
