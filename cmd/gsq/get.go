package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
	"gitops-squared.io/gsq/internal/intent"
)

type getOptions struct {
	connection connection
	scope      scope
	output     format
	filter     client.ListOptions
	all        bool // namespaces
	version    string
}

func newGetCommand(p process) *cobra.Command {
	var o getOptions
	cmd := &cobra.Command{
		Use:   "get [NAME]",
		Short: "Show resources",
		Long: `Show one resource, or those of a namespace, as they are declared now, or with
--at as they were: at a revision (r12), at a time of day (14:00 means the last
14:00 here), or at any time (2026-05-04T14:00, or with a zone). --version shows
one version of a resource; "gsq history" lists them.

The output yaml is PlatformResource manifests, which can be applied again; json
is what the API answers, which can be applied, too; name is the bare names.`,
		Example: `  gsq get
  gsq get web -o yaml
  gsq get -n staging -o wide
  gsq get --all-namespaces --type database --region eu-west-1
  gsq get --name-prefix w -o name
  gsq get --at r2
  gsq get web --version $(gsq history web -o name --limit 1) -o yaml`,
		Args:              usageArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: completeNames(&o.connection, &o.scope, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			if err := givenMoment(cmd, o.filter.At); err != nil {
				return err
			}
			return runGet(cmd.Context(), p, o, args)
		},
	}
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	o.output.addFlag(cmd, "table", "wide", "json", "yaml", "name")
	cmd.Flags().BoolVarP(&o.all, "all-namespaces", "A", false, "show the resources of all namespaces")
	cmd.Flags().StringVar(&o.filter.Type, "type", "", "only those of this type")
	cmd.Flags().StringVar(&o.filter.Region, "region", "", "only those in this region")
	cmd.Flags().StringVar(&o.filter.NamePrefix, "name-prefix", "", "only those whose names begin so")
	cmd.Flags().StringVar(&o.filter.At, "at", "", "as it was then: r12, 14:00, or 2026-05-04T14:00:00Z")
	cmd.Flags().StringVar(&o.version, "version", "", "this version of the resource")
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

func runGet(ctx context.Context, p process, o getOptions, args []string) error {
	if o.all && o.scope.explicit {
		return usagef("--all-namespaces and --namespace exclude each other")
	}
	if len(args) == 1 && (o.all || o.filter != client.ListOptions{At: o.filter.At}) {
		return usagef("a name goes with neither --all-namespaces nor filters")
	}
	if err := o.completeTime(len(args) == 1); err != nil {
		return err
	}
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	if o.version != "" {
		return getVersion(ctx, p, c, o, args[0])
	}
	if len(args) == 1 {
		resource, err := getOne(ctx, c, o, args[0])
		if err != nil {
			return err
		}
		if o.output.value == "json" {
			return writeJSON(p.Out, resource)
		}
		return printResources(p, o, []api.Resource{*resource})
	}
	list, err := listResources(ctx, c, o)
	if err != nil {
		return o.advise(err)
	}
	if o.output.value == "json" {
		return writeJSON(p.Out, list)
	}
	return printResources(p, o, list.Resources)
}

// listing is a list of resources: the API's, or with --all-namespaces one
// without a revision, because each namespace has its own.
type listing struct {
	Resources []api.Resource `json:"resources"`
	Count     int            `json:"count"`
	Revision  *api.Revision  `json:"revision,omitempty"`
}

func listResources(ctx context.Context, c *client.Client, o getOptions) (listing, error) {
	if !o.all {
		list, err := c.List(ctx, o.scope.namespace, o.filter)
		if err != nil {
			return listing{}, err
		}
		return listing{Resources: list.Resources, Count: len(list.Resources), Revision: &list.Revision}, nil
	}
	namespaces, err := c.Namespaces(ctx)
	if err != nil {
		return listing{}, err
	}
	all := listing{Resources: []api.Resource{}}
	for _, namespace := range namespaces.Namespaces {
		if namespace.State != api.NamespaceActive {
			continue
		}
		list, err := c.List(ctx, namespace.Name, o.filter)
		if client.IsCode(err, api.CodeNotFound) {
			continue // it did not exist then
		}
		if err != nil {
			return listing{}, fmt.Errorf("namespace %s: %w", namespace.Name, err)
		}
		all.Resources = append(all.Resources, list.Resources...)
	}
	slices.SortStableFunc(all.Resources, func(a, b api.Resource) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	all.Count = len(all.Resources)
	return all, nil
}

func printResources(p process, o getOptions, resources []api.Resource) error {
	switch o.output.value {
	case "yaml":
		return printManifests(p, resources)
	case "name":
		for _, r := range resources {
			name := r.Name
			if o.all {
				name = r.Namespace + "/" + name
			}
			fmt.Fprintln(p.Out, name)
		}
		return nil
	}
	if len(resources) == 0 {
		where := "namespace " + o.scope.namespace
		if o.all {
			where = "any namespace"
		}
		_, err := fmt.Fprintf(p.Err, "No such resources in %s.\n", where)
		return err
	}
	header := []string{"NAME", "TYPE", "SIZE", "REGION", "REPLICAS", "AGE"}
	if o.output.value == "wide" {
		header = append(header, "UPDATED", "VERSION", "DIGEST", "REPOSITORY")
	}
	if o.all {
		header = append([]string{"NAMESPACE"}, header...)
	}
	now := time.Now()
	var rows [][]string
	for _, r := range resources {
		row := []string{r.Name, r.Spec.Type, r.Spec.Size, cmp.Or(r.Spec.Region, "-"), strconv.Itoa(r.Spec.Replicas), age(now.Sub(r.CreatedAt))}
		if o.output.value == "wide" {
			row = append(row, r.UpdatedAt.UTC().Format(time.RFC3339), r.Version, r.Digest, r.Repository)
		}
		if o.all {
			row = append([]string{r.Namespace}, row...)
		}
		rows = append(rows, row)
	}
	return writeTable(p.Out, header, rows)
}

// printManifests prints what the registry holds, byte for byte.
func printManifests(p process, resources []api.Resource) error {
	for i, r := range resources {
		version, err := intent.ParseVersion(r.Version)
		if err != nil {
			return fmt.Errorf("the server's answer for %s/%s: %w", r.Namespace, r.Name, err)
		}
		data, err := intent.Resource{
			Ref:     intent.Ref{Namespace: r.Namespace, Name: r.Name},
			Spec:    intent.Spec(r.Spec),
			Version: version,
			Created: intent.Version(r.CreatedAt.UnixMicro()),
		}.Manifest()
		if err != nil {
			return err
		}
		if err := writeDocument(p.Out, i, data); err != nil {
			return err
		}
	}
	return nil
}
