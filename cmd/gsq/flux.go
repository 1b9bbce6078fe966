package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
)

type fluxExportOptions struct {
	connection    connection
	scope         scope
	fluxNamespace string
	registry      string
	secret        string
	interval      time.Duration
}

func newFluxCommand(p process) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "flux",
		Short:   "What Flux needs to apply a namespace",
		Long:    "Commands for the cluster's side: what Flux needs to apply a namespace's catalog.",
		Example: `  gsq flux export`,
		Args:    usageArgs(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFluxExportCommand(p))
	return cmd
}

func newFluxExportCommand(p process) *cobra.Command {
	var o fluxExportOptions
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the Flux objects that apply a namespace's catalog",
		Long: `Print, as YAML, what makes Flux (2.8 or newer) pull a namespace's catalog and
apply it: the Namespace (unless it is "default"), an OCIRepository and a
Kustomization. The definition of PlatformResource must be in the cluster.

The registry is the one that the server names, or else the server itself, which
serves its embedded registry. --registry overrides it when the cluster knows it
by another name: host:port means HTTPS, http://host:port plain HTTP.`,
		Example: `  gsq flux export > flux.yaml
  gsq flux export -n staging --registry registry.example:5000
  gsq flux export --registry http://gsq.gitops-squared.svc:8080 --interval 30s`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			return runFluxExport(cmd.Context(), p, o)
		},
	}
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	cmd.Flags().StringVar(&o.fluxNamespace, "flux-namespace", "flux-system", "the namespace of Flux's objects")
	cmd.Flags().StringVar(&o.registry, "registry", "", "the registry as the cluster knows it: host:port, or http://host:port")
	cmd.Flags().StringVar(&o.secret, "pull-secret", "", "name of the secret with the registry's credentials, in the namespace of Flux's objects")
	cmd.Flags().DurationVar(&o.interval, "interval", 10*time.Second, "how often Flux looks for a new catalog")
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

func runFluxExport(ctx context.Context, p process, o fluxExportOptions) error {
	if o.interval < time.Second || o.interval%time.Millisecond != 0 {
		return usagef("--interval must be at least 1s, in whole milliseconds, not %s", o.interval)
	}
	if o.fluxNamespace == "" {
		return usagef("--flux-namespace must not be empty")
	}
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	source := fluxSource{namespace: o.scope.namespace, fluxNamespace: o.fluxNamespace, secret: o.secret, interval: o.interval}
	if o.registry != "" { // checked before the server is asked
		if source.registry, source.insecure, err = parseRegistry(o.registry); err != nil {
			return usagef("--registry: %w", err)
		}
	}
	catalog, err := findCatalog(ctx, c, o.scope.namespace)
	if err != nil {
		return err
	}
	source.repository = catalog.Repository
	switch {
	case source.registry != "":
	case catalog.Registry != "":
		source.registry, source.insecure = catalog.Registry, catalog.Insecure
	default:
		source.registry, source.insecure = c.Server().Host, c.Server().Scheme == "http"
	}
	if onlyLocal(source.registry) {
		fmt.Fprintf(p.Err, "gsq: warning: %s can be reached only from this machine; --registry names it as the cluster knows it\n", source.registry)
	}
	return writeYAML(p.Out, source.objects()...)
}

// findCatalog asks the server where a namespace's catalog is.
func findCatalog(ctx context.Context, c *client.Client, namespace string) (api.Catalog, error) {
	list, err := c.Namespaces(ctx)
	if err != nil {
		return api.Catalog{}, advise(err)
	}
	for _, n := range list.Namespaces {
		if n.Name != namespace {
			continue
		}
		if n.State != api.NamespaceActive {
			return api.Catalog{}, fmt.Errorf("namespace %s is in state %q; only an active one has a catalog for Flux", namespace, n.State)
		}
		return n.Catalog, nil
	}
	return api.Catalog{}, withHint(fmt.Errorf("namespace %s does not exist yet, so it has no catalog", namespace),
		`the first "gsq apply -n %s" creates it; "gsq namespaces" lists what there is`, namespace)
}

// parseRegistry reads host:port, http://host:port or https://host:port.
func parseRegistry(text string) (host string, insecure bool, err error) {
	full := text
	if !strings.Contains(text, "://") {
		full = "https://" + text
	}
	u, err := url.Parse(full)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", false, fmt.Errorf("%q is not a registry; write host:port, or http://host:port for plain HTTP", text)
	}
	return u.Host, u.Scheme == "http", nil
}

// onlyLocal reports whether a host and port mean this machine alone.
func onlyLocal(hostPort string) bool {
	host := hostPort
	if h, _, err := net.SplitHostPort(hostPort); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && (ip.IsLoopback() || ip.IsUnspecified())
}
