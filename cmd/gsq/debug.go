package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// debugHeaderTimeout bounds how long a caller may take to ask. An answer may
// take minutes: a profile of the processor lasts as long as it was asked to.
const debugHeaderTimeout = 10 * time.Second

// debugHandler serves Go's profiles, and nothing of the API. It is a mux of its
// own: what net/http/pprof registers by itself is served by nobody.
func debugHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// serveDebug serves profiles at --debug-listen until stop is called, which
// returns when nothing is served any more. Without the setting, it does
// nothing.
func serveDebug(config *settings, log *slog.Logger) (stop func(), err error) {
	s := config.get(settingDebugListen)
	if s.value == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", s.value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.origin(config.file), err)
	}
	address := listener.Addr().(*net.TCPAddr)
	log.Info("serving profiles", "address", "http://"+address.String()+"/debug/pprof/")
	if !address.IP.IsLoopback() {
		log.Warn("profiles are served to everyone who reaches this address, without a password: they show what the server holds and cost it time; listen on 127.0.0.1 instead", "setting", s.origin(config.file), "address", address.String())
	}
	server := &http.Server{Handler: debugHandler(), ReadHeaderTimeout: debugHeaderTimeout}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Warn("profiles are not served any more", "error", err)
		}
	}()
	return func() {
		_ = server.Close() // a profile under way is given up on
		<-served
	}, nil
}
