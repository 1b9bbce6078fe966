package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/client"
)

// completionTimeout bounds what a completion may wait for the server: a shell
// hangs meanwhile.
const completionTimeout = 2 * time.Second

func newCompletionCommand(process) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion " + strings.Join(shells, "|"),
		Short: "Print the completion script of a shell",
		Long: `Print a script that teaches a shell to complete gsq's commands, flags, and the
names of namespaces and resources (asked of the server, for at most 2 s).`,
		Example: `  gsq completion bash > gsq.bash
  gsq completion zsh > _gsq`,
		Args:                  usageArgs(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)),
		ValidArgs:             toCompletions(shells),
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			}
			return root.GenPowerShellCompletionWithDesc(out)
		},
	}
}

func toCompletions(values []string) []cobra.Completion {
	return append([]cobra.Completion{}, values...)
}

// completeFlag registers the completion of a flag that the command has.
func completeFlag(cmd *cobra.Command, name string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
		panic(err) // the flag does not exist, or has a completion: a defect of the command
	}
}

// completeNames completes the names of the namespace's resources; one name, or
// several different ones.
func completeNames(r *connection, s *scope, several bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		c, err := client.New(client.Options{Server: r.server, Timeout: completionTimeout})
		if err != nil || len(args) > 0 && !several {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, err := c.List(cmd.Context(), s.namespace, client.ListOptions{NamePrefix: prefix})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp // there is nobody to tell
		}
		given := map[string]bool{}
		for _, arg := range args {
			given[arg] = true
		}
		var names []cobra.Completion
		for _, resource := range list.Resources {
			if !given[resource.Name] {
				names = append(names, cobra.CompletionWithDesc(resource.Name, resource.Spec.Type))
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func completeNamespaces(r *connection) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		c, err := client.New(client.Options{Server: r.server, Timeout: completionTimeout})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, err := c.Namespaces(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, namespace := range list.Namespaces {
			if strings.HasPrefix(namespace.Name, prefix) {
				names = append(names, namespace.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
