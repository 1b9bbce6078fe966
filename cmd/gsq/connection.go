package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
)

// connection is the server that a command talks to.
type connection struct {
	server  string
	timeout time.Duration
	process process
}

func (r *connection) addFlags(cmd *cobra.Command, p process) {
	r.process = p
	cmd.Flags().StringVar(&r.server, "server", p.setting("GSQ_SERVER", client.DefaultServer),
		"URL of the server (env GSQ_SERVER)")
	cmd.Flags().DurationVar(&r.timeout, "timeout", client.DefaultTimeout,
		"how long a request may take, repeats included")
}

// connect returns the client. Its errors are of usage.
func (r *connection) connect() (*client.Client, error) {
	if r.timeout <= 0 {
		return nil, usagef("--timeout must be more than 0, not %s", r.timeout)
	}
	actor, err := r.process.actor()
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Options{Server: r.server, Timeout: r.timeout, Actor: actor, UserAgent: "gsq/" + strings.Trim(readBuild().Version, "()")})
	if err != nil {
		return nil, usagef("%w; --server or GSQ_SERVER name the server", err)
	}
	return c, nil
}

// scope is the namespace that a command is about.
type scope struct {
	namespace string
	explicit  bool // it was given on the command line
}

func (s *scope) addFlags(cmd *cobra.Command, p process) {
	cmd.Flags().StringVarP(&s.namespace, "namespace", "n", p.setting("GSQ_NAMESPACE", api.DefaultNamespace),
		"the namespace (env GSQ_NAMESPACE)")
}

// complete checks the namespace, once the flags are parsed.
func (s *scope) complete(cmd *cobra.Command) error {
	s.explicit = cmd.Flags().Changed("namespace")
	if s.namespace == "" {
		return usagef("--namespace must not be empty")
	}
	return nil
}

// setting returns an environment variable, or what holds without it. An empty
// variable is as good as none.
func (p process) setting(name, otherwise string) string {
	value := otherwise
	for _, entry := range p.Environ {
		if v, ok := strings.CutPrefix(entry, name+"="); ok && v != "" {
			value = v // the last one wins, as in os/exec
		}
	}
	return value
}
